"""Example of a system of your own: a captioner trained on photographs and unrelated sentences, in two stages.

    words       on sentences only: predicts a sentence from the sum of the vectors of its concept words
    pictures    on photographs and their detections: maps an image vector to this sum

Concept words are the words that name object classes. After both stages a photograph is captioned from its image vector.
Importing this package adds the two stages to the registry. docs/extending.md has the commands.
"""

import registry

registry.add(registry.System("ToyWords", "toy_system.settings:ToyWords", registry.NOTHING))
registry.add(
    registry.System(
        "ToyPictures",  # the name of the settings class: RUN/config.json keeps it
        "toy_system.settings:ToyPictures",
        registry.VECTORS,
        network="toy_system.network:of_run",
        semantics=False,
    )
)
