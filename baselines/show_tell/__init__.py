"""Show and Tell (Vinyals et al. 2015): network, objective, trainer."""

from baselines.show_tell.train import main

__all__ = ["main"]
