"""R2M (Guo et al., IJCAI 2020): networks, objective, captioner, trainer."""

from baselines.r2m.train import main, score, told_in_training, train

__all__ = ["main", "score", "told_in_training", "train"]
