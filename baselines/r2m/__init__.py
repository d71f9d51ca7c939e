"""R2M (recurrent relational memory, Guo et al., IJCAI 2020): networks, objective, captioner, trainer."""

from baselines.r2m.train import concepts_in_training, main, score, train

__all__ = ["main", "score", "concepts_in_training", "train"]
