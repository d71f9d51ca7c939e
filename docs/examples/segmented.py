"""A tokenizer of your own: Chinese text whose words another program has separated by slashes.

    python -m preprocessing.extract_descriptions --input downloads/segmented.txt --text unicode \
      --tokenizer docs/examples/segmented.py

The file defines tokenize(text) -> list of tokens. The text has its case folded already; a token has no blank.
"""


def tokenize(text):
    """Returns the list of the words of a text such as "一只/狗/在/草地/上"."""
    return text.replace("/", " ").split()
