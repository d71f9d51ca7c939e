"""The phrases of the miniature world's grammar (grammar.py).

A text holds alternatives separated by `|`, the most frequent first.
"""

SIZES = {"small": "small|little|tiny", "large": "large|big|huge"}
# People are described by their clothes: one person, several persons.
CLOTHES = {
    "man": ("in a <colour> shirt", "in <colour> shirts"),
    "woman": ("in a <colour> dress", "in <colour> dresses"),
}
COUNTS = {2: "two|a couple of|a pair of", 3: "three|several|a group of|some"}
FANCY = "beautiful|cute|old|lovely|lonely|vintage|nice|happy|colorful|funny|modern|single|classic|pretty|new"

PLACES = {
    "grass": "on the grass|in a green field|on green grass|in the park|in a grassy field|in a meadow|on the lawn",
    "beach": "on the beach|on a sandy beach|by the sea|near the ocean|on the sand|at the seaside",
    "snow": "in the snow|in a snowy field|in the mountains|on the snow|in a winter landscape",
    "street": "on the street|on a city street|in the city|on the road|in front of tall buildings|in town",
    "room": "in a room|in the living room|on the floor|on a wooden floor|indoors|at home",
    "lake": "by the lake|near the water|by a calm lake|on the shore of a lake|at the lakeside",
    "desert": "in the desert|in a dry desert|in the sandy desert|on the dunes",
    "night": "at night|under the night sky|under the moon|under the stars|in the dark|in the moonlight",
}
ON_THE_WATER = {
    "lake": "on the lake|on the water|on a calm lake|in the blue water",
    "beach": "on the sea|near the beach|in the ocean|on the water",
}
IN_THE_AIR = {
    "grass": "over a green field|in the sky|over the park|over a meadow",
    "beach": "over the beach|in the sky|over the sea|over the ocean",
    "snow": "over the snow|over the mountains|in the sky|in the winter sky",
    "street": "over the city|over tall buildings|in the sky|over the street",
    "room": "in a room|in the living room|indoors|at home",
    "lake": "over the lake|over the water|in the sky",
    "desert": "over the desert|in the sky|over the dunes",
    "night": "in the night sky|at night|under the moon|under the stars",
}
SKIES = {
    "clear": "under a blue sky|under a clear blue sky|on a clear day|with blue sky in the background",
    "sunny": "on a sunny day|in the sunshine|in bright sunlight|on a bright sunny day",
    "cloudy": "under a cloudy sky|on a cloudy day|with gray clouds in the sky",
    "sunset": "at sunset|at dusk|in the evening light|with an orange sky",
    "room": "near the wall|in a cozy interior|with a bright wall in the background",
    "night": "with a bright moon|with many stars|with stars in the background",
}

# Phrases for the relations of a scene, from the first thing to the second.
RELATIONS = {
    "beside": "next to|near|beside|by|close to|with",
    "left of": "to the left of|on the left side of",
    "right of": "to the right of|on the right side of",
    "above": "above|over|high above",
    "below": "under|below|beneath",
    "on": "on|on top of",
    "beneath": "under|beneath",
    "riding": "riding|on",
    "in": "in|on",
    "under": "under|beneath|below",
    "over": "over|above",
    "in front of": "in front of|near|by",
    "behind": "behind|near",
    "carrying": "with",
}
INVERSE = {
    "above": "below",
    "on": "beneath",
    "riding": "carrying",
    "in": "carrying",
    "under": "over",
    "in front of": "behind",
}
TIES = ("on", "riding", "in", "under")
WEIGHTS = {"left of": 0.15, "right of": 0.15}

CAPTION_STYLES = {"participle": 4.0, "finite": 3.0, "plain": 2.5, "there": 1.5, "view": 1.0, "place first": 0.6}
VIEWS = "a photo of|a picture of|an image of|a view of|this is"
CLOSE = "view of|close view of|side view of|full view of"
PRAISE = "beautiful scene|lovely scene|idyllic view|panoramic view|travel background|amazing scenery"
KEYWORDS = {
    "grass": "nature|summer|outdoor|spring meadow|green nature background|countryside",
    "beach": "summer vacation|travel|holiday|tropical coast|seascape",
    "snow": "winter|cold season|christmas holiday|alpine landscape|winter vacation",
    "street": "urban|city life|downtown|traffic|architecture",
    "room": "interior|home decoration|lifestyle|cozy apartment|indoor",
    "lake": "nature|reflection|outdoor|calm weather|fishing",
    "desert": "adventure|travel|hot weather|sahara|expedition",
    "night": "dark|moonlight|astronomy|midnight|halloween",
}
AGENCY = "stock photo|copy space|selective focus|toned image|shallow depth of field|vertical shot|norway|italy|canada"
ISOLATED = (
    "isolated on white background|on a white background with shadow|isolated on black background|"
    "cut out on white with clipping path|vector illustration in flat style|3d rendering on white background"
)

IDLE = (
    "abstract <look> background with <pattern> and copy space for your text",
    "<look> <pattern> texture for web design and wallpaper",
    "business concept of <notion> and <notion> with <look> chart",
    "seamless pattern with <look> <pattern> , vector illustration",
    "the idea of <notion> in a modern <field> company",
    "set of <look> icons for <field> and <field> , flat design",
    "<month> <year> : <event> of the <field> industry in <town>",
    "young team working on <notion> during a <field> meeting",
    "<town> , <country> - <month> <year> : <event> at the <field> fair",
    "healthy <food> and <food> with <food> served for breakfast",
    "top view of <food> with <food> and copy space for text",
    "happy <month> greeting card with <look> <pattern> and lettering",
    "<town> , <country> - <month> <year> : <person> speaks about <notion> and <notion>",
    "<person> and <person> answer questions about <field> in <town>",
)
IDLE_WORDS = {
    "look": "colorful|geometric|bright|golden|blurred|gray|blue|pink|minimal|glowing|retro|elegant",
    "pattern": "lines|circles|dots|waves|triangles|stripes|spots|ornaments|squares|spirals",
    "notion": "success|growth|teamwork|finance|strategy|innovation|security|freedom|marketing|education",
    "field": "technology|medical|science|internet|energy|insurance|fashion|software|banking|sport",
    "event": "opening|celebration|presentation|exhibition|anniversary|conference",
    "month": "may|june|july|august|september|october|april|march|december|january",
    "year": "2017|2018|2016|2015|2014|2013|2012|2011",
    "town": "london|paris|berlin|rome|madrid|vienna|prague|oslo|lisbon|dublin|milan|athens|warsaw|zurich|porto|riga",
    "country": "england|france|germany|italy|spain|austria|norway|portugal|ireland|greece|poland|latvia",
    # The tail of Zipf's law: the last ones are rarer than any minimum count.
    "person": (
        "anna|john|maria|peter|laura|james|sophie|thomas|julia|david|emma|martin|clara|robert|alice|george|helen|simon|"
        "irene|victor|nora|felix|ruth|oscar|agnes|hugo|edith|bruno|greta|otto|ingrid|leon|astrid|walter|sigrid|edgar|"
        "matilda|conrad|beatrice|rupert|cordelia|ambrose|philippa|cuthbert|winifred|barnaby|ottilie|ignatius"
    ),
    "food": "salad|bread|cheese|tomatoes|soup|rice|olives|honey|yogurt|pasta|salmon|almonds|herbs",
}
