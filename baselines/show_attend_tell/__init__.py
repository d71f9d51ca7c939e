"""Show, Attend and Tell (Xu et al. 2015): network, objective, trainer."""

from baselines.show_attend_tell.train import main

__all__ = ["main"]
