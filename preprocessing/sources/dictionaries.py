"""Makes the dictionary of a corpus, and the tables of the words that name its concepts."""

import os

import cli
from formats import readers, vocabulary
from formats.languages import unicode_text
from preprocessing.detection import concept_objects


def build_dictionary(counts, sentences, concepts, min_count, word_list=None):
    """Returns the dictionary of a corpus, a vocabulary.Vocabulary.

    The markers come first, then the words by descending count, words of equal count in alphabetical order. As in the
    authors' dictionary, a concept word that occurs fewer than four times, or is not in the word list, has count 0.

    Args: counts: dict word -> occurrences, before plurals are replaced. sentences: their number, the markers' count.
      concepts: words that are always kept. min_count: least count of others. word_list: set of allowed words, or None.
    """
    kept = {
        word: count
        for word, count in counts.items()
        if count >= (min(4, min_count) if word in concepts else min_count) and (word_list is None or word in word_list)
    }
    kept = dict.fromkeys(concepts, 0) | kept
    ordered = sorted(kept.items(), key=lambda item: (-item[1], item[0]))
    words, numbers = zip(*ordered, strict=True)
    return vocabulary.Vocabulary([vocabulary.START, vocabulary.END, *words], [sentences, sentences, *numbers])


def read_word_list(path, flag="--word_list"):
    """Returns the set of the first words of a file's lines. Raises: cli.UserError, with `flag`, for a missing file."""
    if not os.path.isfile(path):
        raise cli.UserError(f"{path}: no such file; expected one word a line for {flag}")
    return {line.split(maxsplit=1)[0] for _, line in readers.text_lines(path)}


def class_table(path, class_names):
    """Returns the table in the file --class_map: dict class name -> concept word, with its case folded, or None.

    Args: path: JSON file, or None: {}. class_names: list of the display names of the classes.
    Raises: cli.UserError if the table cannot be read, a word is several words, or no class is in it.
    """
    table = concept_objects.read_class_map(path)
    for name, word in table.items():
        if word is not None and len(word.split()) != 1:
            raise cli.UserError(f"{path}: {name!r} has {word!r}; expected one word, as sentences.txt writes it")
    if table and not table.keys() & set(class_names):
        raise cli.UserError(
            f"{path}: none of its names is a class; its first is {next(iter(table))!r}, the first of --class_names "
            f"{class_names[0]!r}"
        )
    return {name: word and unicode_text.fold(word.strip()) for name, word in table.items()}


def note_english_rules(options):
    """Prints a note if a corpus in any language (--text unicode) is given the English plurals of its concept words.

    Args: options: process_descriptions.Options.
    """
    made = os.path.join(options.data_dir, "sentences.json")
    settings = readers.read_json(made, "a sidecar", dict).get("settings", {}) if os.path.exists(made) else {}
    if settings.get("text") == "unicode" and options.plurals in ("inflect", "keep"):
        print(
            f"NOTE: --plurals {options.plurals} makes English plurals; for another language give --plurals none, or a "
            "JSON table word -> plural"
        )


def naming(options, concepts):
    """Returns (dict plural -> singular that replaces it in the text, dict word -> concept word that it names).

    Args: options: process_descriptions.Options. concepts: the concept words.
    Raises: cli.UserError if a table of words cannot be read.
    """
    names = vocabulary.load_synonyms(options.synonyms, concepts) if options.synonyms else {}
    by_rule = options.plurals in ("inflect", "keep")  # these rules are English: not for a corpus with its own table
    plurals = vocabulary.plurals("inflect" if by_rule else options.plurals, names)
    names |= {plural: names[name] for plural, name in plurals.items() if plural not in {*concepts, *names}}
    if options.plurals != "keep":
        return vocabulary.plurals(options.plurals, concepts), names
    kept = vocabulary.plurals("inflect", concepts)
    return {}, names | {plural: word for plural, word in kept.items() if plural not in concepts}
