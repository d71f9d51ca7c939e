"""The experiments, one module each; experiments.py describes their format. This module makes rows from other rows."""

import dataclasses

ADVERSARIAL = {"w_obj": 0.0, "w_mse": 0.0, "w_sen": 0.0}
CONCEPT = {"w_mse": 0.0, "w_sen": 0.0}
IMAGE = {"w_sen": 0.0}


def ablations(full, prefix=""):
    """Returns the settings of the paper's ablation rows: dict row name -> config.FullModel.

    The row `adv` has only the adversarial term; `con` adds the concept reward, `im` also the image reconstruction. The
    full model, which is not in the dict, also has the sentence reconstruction.

    Args: full: config.FullModel, the settings of the full model. prefix: text before the row names.
    """
    changes_of_name = {"adv": ADVERSARIAL, "con": CONCEPT, "im": IMAGE}
    return {prefix + name: dataclasses.replace(full, **changes) for name, changes in changes_of_name.items()}
