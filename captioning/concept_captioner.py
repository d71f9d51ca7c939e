"""Base class of captioners that read concept words instead of image vectors.

Shapes: B batch, N images, E embedding, K concept words of an image.
"""

import os

import numpy as np

import cli
from captioning.captioner import Captioner
from formats import made_by, records
from formats.vocabulary import Vocabulary
from input_pipeline import ImageSet
from models.concepts import select_concepts


class ConceptCaptioner(Captioner):
    """Captions images from rows of concept words, int32 [N, K], zero padded.

    A subclass must define `feature(rows)`: rows int32 [B, K] -> the generator's sentence features, float32 [B, E].

    Args:
      generator: WordDecoder. vocabulary: Vocabulary.
      semantics: "reference" cuts the last word of a caption that has no end token, "fixed" keeps it (`Captioner`).
      concept_order: which concept words are read and in which order: "reference" takes the words of the first K
        objects of a record in reverse order, "fixed" the K distinct words with the highest scores, the best one last;
        None for the value of `semantics`.
      max_caption_length: maximum number of words of a caption, the end token counted.
    """

    row_type = np.int32

    def __init__(self, generator, vocabulary, semantics, concept_order=None, max_caption_length=20):
        super().__init__(generator, None, vocabulary, semantics, max_caption_length)
        self.concept_order = concept_order or semantics

    def rows_of(self, images, threshold=0.0):
        """Returns the concept words of images, selected from their objects: word ids int32 [N, K], zero padded.

        Args: images: records.Images, N images with their detected objects. threshold: minimum detection score of an
          object.
        """
        objects = ImageSet(images, None, None).objects(np.arange(len(images)))
        return self.select_words(objects["classes"], objects["scores"], objects["num"], threshold)

    def select_words(self, classes_BC, scores_BC, num_B, threshold=0.0):
        """Returns the concept words selected from the detected objects of images: int32 [B, K], zero padded.

        Args: classes_BC: int32, word ids of the classes of up to C objects in the order of the record, zero padded.
          scores_BC: float32, their detection scores. num_B: int32, number of objects. threshold: minimum detection
          score of an object.
        """
        return select_concepts(classes_BC, scores_BC, num_B, self.concept_order, threshold)[0]

    def check_vocabulary(self, data_dir):
        """Raises cli.UserError if the data folder has another vocabulary than the run, so that word ids differ."""
        there = Vocabulary.load(os.path.join(data_dir, "word_counts.txt"))
        if there.fingerprint() != self.vocabulary.fingerprint():
            raise cli.UserError(
                f"{data_dir}/word_counts.txt is not the dictionary of the run ({there.size} words there, "
                f"{self.vocabulary.size} in the run); use the --data_dir that it was trained on, or train it again"
            )

    def rows_of_split(self, data_dir, split, names, threshold=0.0):
        """Returns the concept words of the named images of a split: int32 [N, K], in the order of `names`.

        Args: data_dir: data folder with the image records. split: "train", "val" or "test". names: N image names.
          threshold: minimum detection score of an object.
        Raises: cli.UserError if an image has no record, or the data folder has another vocabulary than the run.
        """
        self.check_vocabulary(data_dir)
        images = records.read_images(records.find_files(data_dir, f"image_{split}"))
        row_of = {name: row for row, name in enumerate(images.names)}
        missing = [name for name in names if name not in row_of]
        if missing:
            raise cli.UserError(
                f"{data_dir}: {len(missing)} images with references have no record, the first is {missing[0]}; make "
                f"both by one run of {made_by.command(data_dir, f'image_{split}', again=True)}"
            )
        return self.rows_of(images, threshold)[[row_of[name] for name in names]]
