"""One module an experiment; experiments.py says what it holds. Here: how rows are made from other rows."""

import dataclasses

ADVERSARIAL = {"w_obj": 0.0, "w_mse": 0.0, "w_sen": 0.0}
CONCEPT = {"w_mse": 0.0, "w_sen": 0.0}
IMAGE = {"w_sen": 0.0}


def ablations(full, prefix=""):
    """The rows of the paper's ablation below the full model: dict name -> settings.

    `adv`: the adversarial term alone; `con`: with the concept reward; `im`: with the image reconstruction as well. The
    full model has the sentence reconstruction as well.

    Args: full: config.FullModel. prefix: of the names.
    """
    changes_of_name = {"adv": ADVERSARIAL, "con": CONCEPT, "im": IMAGE}
    return {prefix + name: dataclasses.replace(full, **changes) for name, changes in changes_of_name.items()}
