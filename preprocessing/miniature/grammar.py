"""Generates the sentences of the miniature world: captions, stock-photo texts, and sentences on other subjects.

`caption` and `stock` describe a scene truthfully, `caption` as people describe photographs, `stock` as agencies that
sell photographs do; `idle` is about subjects that are never drawn. A hash of its words assigns each sentence to the
references of pictures or to the corpus (`side_of`). So no corpus sentence equals a reference, while both have the same
distribution.

Arguments in all functions: rng is a numpy Generator, scene a scenes.Scene, entity an Entity.
"""

import dataclasses
import functools
import re

from preprocessing.miniature import phrases
from preprocessing.miniature.scenes import WATER, pick
from preprocessing.miniature.things import BY_NAME, NAMES
from preprocessing.sharding.shards import digest_of

MIN_WORDS = 8  # minimum length of extract_descriptions


@dataclasses.dataclass(frozen=True)
class Entity:
    """The objects of one class in a scene, which a sentence mentions together.

    Attributes:
      name: the class.
      count: number of objects.
      colour, size: of all objects; "" if they differ or, for the size, if it is usual.
      members: tuple of their indices in the scene's items.
    """

    name: str
    count: int
    colour: str
    size: str
    members: tuple


def words_of(text):
    """Returns the list of the words of a text, lower-cased, without punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def side_of(text):
    """Returns "pictures" if a sentence may be a reference, "text" if it may be in the corpus.

    A hash of the sentence's words, without capitals and punctuation, decides.
    """
    return "pictures" if digest_of(" ".join(words_of(text))) % 2 else "text"


@functools.cache
def plural(noun):
    """Returns the plural of an English noun (str); results are cached."""
    import inflect

    return inflect.engine().plural(noun)


@functools.cache
def _class_of_word():
    """Returns dict word -> class that it names, for the singulars and plurals of all classes."""
    return {form: name for name in NAMES for form in (name, plural(name))}


def combination_of(text):
    """Returns the frozenset of the classes that a text names, in singular or plural."""
    return frozenset(_class_of_word()[word] for word in words_of(text) if word in _class_of_word())


# --------------------------------------------------------------------------------------------------------------
# Noun phrases


def entities_of(scene):
    """Returns the list of the Entities in a scene, one for each class, in the order of the scene's items."""
    entities = []
    for name in dict.fromkeys(item.name for item in scene.items):
        members = tuple(index for index, item in enumerate(scene.items) if item.name == name)
        colours = {scene.items[index].colour for index in members}
        sizes = {scene.items[index].size for index in members}
        colour, size = (values.pop() if len(values) == 1 else "" for values in (colours, sizes))
        entities.append(Entity(name, len(members), colour, size, members))
    return entities


def _choose(rng, options):
    """Returns a random option (str), the earlier ones more often, so that there is a long tail of rare phrases.

    Args: options: text "a|b|c", or a sequence of texts.
    """
    options = options.split("|") if isinstance(options, str) else list(options)
    return pick(rng, {option: 1.0 / (rank + 1.5) for rank, option in enumerate(options)})


def _with_article(phrase):
    """Returns a phrase with the article "a" or "an" before it."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _adjectives(rng, entity, fancy):
    """Returns a random list of adjectives (str) for an entity: its size and its colour.

    Args: fancy: probability of an additional adjective such as "beautiful", which need not be true.
    """
    words = []
    if fancy and rng.random() < fancy:
        words.append(_choose(rng, phrases.FANCY))
    if entity.size and rng.random() < 0.65:
        words.append(_choose(rng, phrases.SIZES[entity.size]))
    # Every tree is green, so its colour is mentioned less often.
    usual = len(BY_NAME[entity.name].colours) == 1
    if entity.colour and entity.name not in phrases.CLOTHES and rng.random() < (0.2 if usual else 0.6):
        words.append(entity.colour)
    return words


def _clothes(rng, entity):
    """Returns a text such as " in a blue shirt" for half of the people; "" for others and for things."""
    if entity.name not in phrases.CLOTHES or not entity.colour or rng.random() < 0.5:
        return ""
    return " " + phrases.CLOTHES[entity.name][entity.count > 1].replace("<colour>", entity.colour)


def noun_phrase(rng, entity, article=True, fancy=0.0):
    """Returns a random noun phrase for an entity.

    Args:
      article: with True "a small brown dog" or "two dogs", with False "small brown dog" or "dogs".
      fancy: probability of an additional adjective such as "beautiful".
    """
    words = _adjectives(rng, entity, fancy)
    if entity.count == 1:
        text = " ".join([*words, entity.name]) + _clothes(rng, entity)
        return _with_article(text) if article else text
    text = " ".join([*words, plural(entity.name)]) + _clothes(rng, entity)
    return f"{_choose(rng, phrases.COUNTS[entity.count])} {text}" if article else text


def _be(entity):
    """Returns "is" or "are" for an entity."""
    return "is" if entity.count == 1 else "are"


# --------------------------------------------------------------------------------------------------------------
# Verbs, places, relations


def _is_tied(scene, entity, kinds):
    """Returns whether an object of the entity is the first in a relation of the scene of one of the `kinds` (names)."""
    return any(index in entity.members and kind in kinds for index, kind, _ in scene.relations)


def _verb(rng, scene, entity):
    """Returns a random participle that is true of an entity in its scene, such as "standing"."""
    thing = BY_NAME[entity.name]
    if _is_tied(scene, entity, ("on",)):
        return _choose(rng, "sitting|standing|resting")
    if _is_tied(scene, entity, ("in",)):
        return _choose(rng, "standing|sailing")
    if "water" in thing.traits and scene.place not in WATER:
        return _choose(rng, "standing|walking")
    if scene.place == "room" and "air" in thing.traits:
        return "floating"
    return _choose(rng, thing.verbs)


def _grounded(scene, entities):
    """Returns the entity whose place phrase fits all entities: one on land, else on water, else in the air."""

    def rank(entity):
        traits = BY_NAME[entity.name].traits
        return 2 * ("air" in traits) + ("water" in traits and scene.place in WATER)

    return min(entities, key=rank)


def _place(rng, scene, entity):
    """Returns a random phrase for the place of an entity, such as "on the grass"."""
    traits = BY_NAME[entity.name].traits
    if "air" in traits and not _is_tied(scene, entity, ("on",)):
        table = phrases.IN_THE_AIR
    elif "water" in traits and scene.place in WATER or _is_tied(scene, entity, ("in",)):
        table = phrases.ON_THE_WATER
    else:
        table = phrases.PLACES
    phrase = _choose(rng, table[scene.place])
    if "floor" in phrase and _is_tied(scene, entity, ("on",)):
        return _choose(rng, phrases.PLACES["room"].split("|")[:2])
    return phrase


def _tail(rng, scene, share):
    """Returns, with probability `share`, a random phrase about the sky after a space, else ""."""
    if rng.random() > share:
        return ""
    return " " + _choose(rng, phrases.SKIES[scene.sky or scene.place])


def _relations(scene, first, second):
    """Returns the list of the relations of the first entity to the second, keys of phrases.RELATIONS."""
    found = []
    for i, kind, j in scene.relations:
        if i in first.members and j in second.members:
            found.append(kind)
        elif i in second.members and j in first.members and kind in phrases.INVERSE:
            found.append(phrases.INVERSE[kind])
    single = first.count == second.count == 1
    return [kind for kind in dict.fromkeys(found) if single or kind in ("beside", "above", "below")]


def _linked(rng, scene, entities, fancy=0.0):
    """Links one to three entities by a relation of the first two, as in "a dog next to a ball", or else by "and".

    Args: entities: list of Entity. fancy: probability of an additional adjective such as "beautiful" for each.
    Returns: (text before the verb, phrase of the relation such as "next to", text after it); the last two are "" if the
      entities are linked by "and".
    """
    first, *others = entities
    nouns = [noun_phrase(rng, entity, fancy=fancy) for entity in entities]
    if not others:
        return nouns[0], "", ""
    kinds = _relations(scene, first, others[0])
    if not kinds or rng.random() < 0.2:
        joined = " and ".join(nouns) if len(nouns) == 2 else f"{nouns[0]} , {nouns[1]} and {nouns[2]}"
        return joined, "", ""
    weights = {kind: phrases.WEIGHTS.get(kind, 1.0) for kind in kinds}
    kind = pick(rng, weights)
    # The relation to the second thing need not hold for the third.
    joint = " and " if kind in ("beside", "left of", "right of") else " with "
    return nouns[0], _choose(rng, phrases.RELATIONS[kind]), joint.join(nouns[1:])


def _spoken_of(rng, scene):
    """Returns a random list of the Entities that a sentence about the scene mentions, its subject first."""
    entities = entities_of(scene)
    order = [entities[index] for index in rng.permutation(len(entities))]
    if len(order) == 3 and rng.random() < 0.3 or len(order) == 2 and rng.random() < 0.07:
        order.pop()
    # One who rides, sits on or stands under something is the natural subject.
    tied = [entity for entity in order if _is_tied(scene, entity, phrases.TIES)]
    if tied and rng.random() < 0.7:
        order.sort(key=lambda entity: entity is not tied[0])
        partners = {j for i, kind, j in scene.relations if i in tied[0].members and kind in phrases.TIES}
        order[1:] = sorted(order[1:], key=lambda entity: not partners & set(entity.members))
    return order


# --------------------------------------------------------------------------------------------------------------
# Sentences


def caption(rng, scene):
    """Returns a random sentence (str) in the style of human captions, without capital letter and full stop."""
    entities = _spoken_of(rng, scene)
    first = entities[0]
    subject, relation, rest = _linked(rng, scene, entities)
    several = not relation and len(entities) > 1
    place = _place(rng, scene, _grounded(scene, entities) if several else first)
    verb = "" if relation == "riding" else _verb(rng, scene, first)
    if several and any(verb not in BY_NAME[entity.name].verbs for entity in entities):
        verb = ""
    be = "are" if several else _be(first)
    link = f" {relation} {rest}" if relation else ""
    tail = _tail(rng, scene, 0.3)
    act = f" {verb}" if verb else ""
    style = pick(rng, phrases.CAPTION_STYLES)
    if style == "finite":
        doing = f" riding {rest}" if relation == "riding" else act + link
        return f"{subject} {be}{doing} {place}{tail}"
    if style == "there":
        return f"there {be} {subject}{link} {place}{tail}"
    if style == "view":
        return f"{_choose(rng, phrases.VIEWS)} {subject}{link} {place}{tail}"
    if style == "place first":
        doing = f" riding {rest}" if relation == "riding" else act + link
        return f"{place} {subject} {be}{doing}{tail}" if doing else f"{place} there {be} {subject}{tail}"
    if style == "plain":
        return f"{subject}{link} {place}{tail}"
    return f"{subject}{act if relation != 'riding' else ''}{link} {place}{tail}"


def stock(rng, scene):
    """Returns a random description (str) of a scene in the style of agencies that sell photographs.

    It has few articles, words of praise, and key words after commas; no capital letter and no full stop.
    """
    entities = _spoken_of(rng, scene)
    first = entities[0]
    bare = [noun_phrase(rng, entity, article=False, fancy=0.5) for entity in entities]
    place, keywords = _place(rng, scene, _grounded(scene, entities)), _keywords(rng, scene)
    style = pick(rng, {"list": 3.0, "close": 1.5, "praise": 1.5, "linked": 3.0})
    if style == "close":
        thing, place = noun_phrase(rng, first, fancy=0.5), _place(rng, scene, first)
        return f"{_choose(rng, phrases.CLOSE)} {thing} {place} , {keywords}"
    if style == "praise":
        return f"{_choose(rng, phrases.PRAISE)} with {' and '.join(bare)} {place} , {keywords}"
    kinds = _relations(scene, first, entities[1]) if len(entities) > 1 else []
    if style == "linked" and kinds:
        relation = _choose(rng, phrases.RELATIONS[_choose(rng, kinds)])
        return f"{bare[0]} {relation} {' and '.join(bare[1:])} {place} , {keywords}"
    return f"{' and '.join(bare)} {place} , {keywords}"


def _keywords(rng, scene):
    """Returns one to three random key words for a scene, as text: "beach , blue sky , stock photo"."""
    words = [_choose(rng, phrases.KEYWORDS[scene.place])]
    if rng.random() < 0.5:
        words.append(_choose(rng, phrases.SKIES[scene.sky or scene.place]))
    if rng.random() < 0.4:
        words.append(_choose(rng, phrases.AGENCY))
    return " , ".join(words)


def isolated(rng, scene):
    """Returns a random description (str) of one object of a scene as a photograph on a plain background.

    Agencies sell such photographs; the miniature world has no such picture.
    """
    entity = entities_of(scene)[0]
    thing = noun_phrase(rng, entity, article=bool(rng.random() < 0.5), fancy=0.6)
    return f"{thing} {_choose(rng, phrases.ISOLATED)} , {_choose(rng, phrases.AGENCY)}"


def idle(rng):
    """Returns a random sentence (str) about a subject that is never drawn, without capital letter and full stop."""
    template = _choose(rng, phrases.IDLE)
    return re.sub(r"<(\w+)>", lambda slot: _choose(rng, phrases.IDLE_WORDS[slot[1]]), template)


def finished(rng, text):
    """Returns a text with a capital first letter and, with probability 0.6, with " ." at its end."""
    return text[0].upper() + text[1:] + (" ." if rng.random() < 0.6 else "")


def describe(rng, scene, agency):
    """Returns one random sentence (str) about a scene, with a capital first letter, commas, and mostly a full stop.

    Args: agency: probability (0 to 1) of the style of picture agencies (`stock`); else the style is that of `caption`.
    """
    return (
        finished(rng, (stock if rng.random() < agency else caption)(rng, scene)).replace(" ,", ",").replace(" .", ".")
    )


def references(rng, scene, count, agency=0.1):
    """Returns a list of `count` random true sentences (str) about a scene, to be used as reference captions.

    They have at least 6 words, differ in their words, and `side_of` is "pictures" for each.

    Args:
      count: number of sentences, at least 1.
      agency: probability (0 to 1) that a sentence has the style of picture agencies (`stock`) and not of `caption`.

    Raises: ValueError if 1000 random sentences contain fewer than `count` of this kind.
    """
    found = {}
    for _ in range(1000):
        text = describe(rng, scene, agency)
        if side_of(text) == "pictures" and len(words_of(text)) >= 6:
            found.setdefault(" ".join(words_of(text)), text)
        if len(found) == count:
            return list(found.values())
    raise ValueError(f"the grammar has fewer than {count} sentences for {scene}")
