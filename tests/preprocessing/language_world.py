"""Corpora in German, Chinese and Arabic, made by rule from the scenes of the miniature world.

A small table of words and one template for each language; the grammar chooses what a scene shows.
"""

import dataclasses
import json
import os

import numpy as np

from formats import records, vocabulary
from formats.languages import tokenizers
from preprocessing import extract_descriptions, process_descriptions
from preprocessing.miniature import grammar, scenes
from tests import tiny_world

SENTENCES = 200
# class -> German (noun, plural, ending of an adjective), Chinese (measure word, noun), Arabic (noun, plural, feminine)
NOUNS = {
    "dog": (("Hund", "Hunde", "er"), ("只", "狗"), ("كلب", "كلاب", False)),
    "cat": (("Katze", "Katzen", "e"), ("只", "猫"), ("قطة", "قطط", True)),
    "bird": (("Vogel", "Vögel", "er"), ("只", "鸟"), ("طائر", "طيور", False)),
    "car": (("Auto", "Autos", "es"), ("辆", "汽车"), ("سيارة", "سيارات", True)),
    "bicycle": (("Fahrrad", "Fahrräder", "es"), ("辆", "自行车"), ("دراجة", "دراجات", True)),
    "tree": (("Baum", "Bäume", "er"), ("棵", "树"), ("شجرة", "أشجار", True)),
    "house": (("Haus", "Häuser", "es"), ("座", "房子"), ("بيت", "بيوت", False)),
    "ball": (("Ball", "Bälle", "er"), ("个", "球"), ("كرة", "كرات", True)),
}
COLOURS = {
    "red": ("rot", "红色", ("أحمر", "حمراء")),
    "blue": ("blau", "蓝色", ("أزرق", "زرقاء")),
    "green": ("grün", "绿色", ("أخضر", "خضراء")),
    "yellow": ("gelb", "黄色", ("أصفر", "صفراء")),
    "brown": ("braun", "棕色", ("بني", "بنية")),
    "black": ("schwarz", "黑色", ("أسود", "سوداء")),
    "white": ("weiß", "白色", ("أبيض", "بيضاء")),
    "gray": ("grau", "灰色", ("رمادي", "رمادية")),
}
PLACES = {
    "grass": ("auf der Wiese", "草地上", "في الحديقة"),
    "beach": ("am Strand", "海滩上", "على الشاطئ"),
    "snow": ("im Schnee", "雪地里", "في الثلج"),
    "street": ("auf der Straße", "街道上", "في الشارع"),
    "room": ("im Zimmer", "房间里", "في الغرفة"),
    "lake": ("am See", "湖边", "عند البحيرة"),
    "desert": ("in der Wüste", "沙漠里", "في الصحراء"),
    "night": ("in der Nacht", "夜空下", "في الليل"),
}


def german(entity, place):
    """Returns a German sentence (str) about an entity (grammar.Entity) at a place (key of PLACES)."""
    noun, plural, ending = NOUNS[entity.name][0]
    colour = COLOURS[entity.colour][0] if entity.colour in COLOURS else ""
    if entity.count > 1:
        number = {2: "Zwei", 3: "Drei"}.get(entity.count, "Mehrere")
        subject = f"{number} {colour + 'e ' if colour else ''}{plural} sind"
    else:
        article = "Eine" if ending == "e" else "Ein"
        subject = f"{article} {colour + ending + ' ' if colour else ''}{noun} ist"
    return f"{subject} {PLACES[place][0]} gut zu sehen."


def chinese(entity, place):
    """Returns a Chinese sentence (str) about an entity (grammar.Entity) at a place (key of PLACES)."""
    measure, noun = NOUNS[entity.name][1]
    colour = COLOURS[entity.colour][1] + "的" if entity.colour in COLOURS else ""
    number = {1: "一", 2: "两", 3: "三"}.get(entity.count, "几")
    return f"{PLACES[place][1]}有{number}{measure}{colour}{noun}。"


def arabic(entity, place):
    """Returns an Arabic sentence (str) about an entity (grammar.Entity) at a place (key of PLACES)."""
    noun, plural, feminine = NOUNS[entity.name][2]
    several = entity.count > 1
    colour = COLOURS[entity.colour][2][several or feminine] if entity.colour in COLOURS else ""
    subject = f"هناك عدة {plural}" if several else f"يوجد هنا {noun}"
    return " ".join(filter(None, (subject, colour, PLACES[place][2])))


@dataclasses.dataclass(frozen=True)
class Language:
    """How a corpus is made and read.

    Attributes: sentence: function (entity, place) -> str. flags: settings of extract_descriptions. word: function class
      -> its word. plurals: dict word -> plural, or None for a language without plurals. scored: --tokenizer of scores.
      unspaced: whether captions have no blanks.
    """

    sentence: object
    flags: dict
    word: object
    plurals: dict | None
    scored: str
    unspaced: bool = False


def _folded(column):
    return {tokenizers.FOLD["unicode"](n[column][0]): tokenizers.FOLD["unicode"](n[column][1]) for n in NOUNS.values()}


LANGUAGES = {
    "german": Language(german, {"tokenizer": "nltk"}, lambda name: NOUNS[name][0][0], _folded(0), "characters"),
    "chinese": Language(
        chinese,
        {"tokenizer": "characters", "min_tokens": 5},
        lambda name: NOUNS[name][1][1],
        None,
        "characters",
        unspaced=True,
    ),
    "arabic": Language(
        arabic, {"tokenizer": "whitespace", "min_tokens": 5}, lambda name: NOUNS[name][2][0], _folded(2), "none"
    ),
}


def sentences(language, count=SENTENCES, seed=1):
    """Returns `count` different pairs (class, text), drawn from the grammar of the miniature world, in a language."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        scene = scenes.make_scene(rng, seed, "text")
        for entity in grammar.entities_of(scene):
            if entity.name in NOUNS and len(found) < count:
                found[LANGUAGES[language].sentence(entity, scene.place)] = entity.name
    return [(name, text) for text, name in found.items()]


def make(folder, language, images=40, seed=1):
    """Writes a data folder with a corpus in a language, by the text stages, and images of its classes; returns it.

    The images have one class each, its detection, a feature vector, and for val the true captions as references.
    """
    kind = LANGUAGES[language]
    os.makedirs(folder, exist_ok=True)
    path = lambda name: os.path.join(folder, name)  # noqa: E731
    with open(path("corpus.txt"), "w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for _, text in sentences(language))
    with open(path("classes.txt"), "w") as file:
        file.writelines(f"{name.capitalize()}\n" for name in NOUNS)
    with open(path("map.json"), "w", encoding="utf-8") as file:
        json.dump({name.capitalize(): kind.word(name) for name in NOUNS}, file)
    with open(path("plurals.json"), "w", encoding="utf-8") as file:
        json.dump(kind.plurals or {}, file)
    alone = {"data_dir": folder, "processes": 1, "shards": 1}
    extract_descriptions.main(
        extract_descriptions.Options(**alone, input=path("corpus.txt"), text="unicode", **kind.flags)
    )
    process_descriptions.main(
        process_descriptions.Options(
            **alone,
            new_dict=True,
            min_word_count=1,
            class_names=path("classes.txt"),
            class_map=path("map.json"),
            plurals=path("plurals.json") if kind.plurals else "none",
        )
    )
    _write_images(folder, language, images, seed)
    return folder


def _write_images(folder, language, images, seed):
    words = vocabulary.Vocabulary.load(os.path.join(folder, "word_counts.txt"))
    rng, names = np.random.default_rng(seed), list(NOUNS)
    word = LANGUAGES[language].word
    for split in ("train", "val"):
        chosen = [names[i % len(names)] for i in range(images)]
        files = [f"{split}_{i:03d}.jpg" for i in range(images)]
        ids = [words.id(tokenizers.FOLD["unicode"](word(name))) for name in chosen]
        found = [records.image_example(file, b"", [i], [0.9]) for file, i in zip(files, ids, strict=True)]
        tiny_world.write(folder, f"image_{split}", found)
        rows = (
            np.eye(len(names))[[names.index(name) for name in chosen]][:, None]
            + rng.normal(size=(images, 3, len(names))) * 0.05
        )
        tiny_world.write_features(folder, split, files, rows)
    told = sentences(language)
    captions = [
        {"image_id": file, "id": 3 * i + k, "caption": text}
        for i, (file, name) in enumerate(zip(files, chosen, strict=True))
        for k, text in enumerate([text for other, text in told if other == name][:5])
    ]
    content = {"images": [{"id": file} for file in files], "annotations": captions}
    with open(os.path.join(folder, "refs_val.json"), "w", encoding="utf-8") as file:
        json.dump(content, file)
