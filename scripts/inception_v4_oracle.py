"""Writes inputs and outputs of timm's Inception-v4 with random weights, to test this project's network against them.

Run it in a separate environment, because it needs PyTorch:

    python3 -m venv oracle && oracle/bin/pip install torch==2.13.0 safetensors huggingface_hub pyyaml pillow
    oracle/bin/pip install --no-deps timm==1.0.31
    oracle/bin/python scripts/inception_v4_oracle.py oracle.npz
    UIC_INCEPTION_ORACLE=oracle.npz .venv/bin/python -m pytest -q tests/models/encoders/test_inception_v4_oracle.py

The file (about 170 MB) holds the weights in timm's order of modules, an input, and timm's output.
"""

import importlib.abc
import importlib.machinery
import sys
from unittest import mock


class _NoTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import hook that gives an empty mock for torchvision, which timm imports but this network never uses."""

    def find_spec(self, name, path, target=None):
        """Returns a spec for torchvision and its parts, None for other modules."""
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        """Returns the mock module for a spec."""
        module = mock.MagicMock(name=spec.name)
        module.__spec__, module.__path__ = spec, []
        return module

    def exec_module(self, module):
        """Does nothing: the mock module needs no code."""
        pass


def main(path):
    """Writes weights, input and outputs of the network to an .npz file. Args: path: the file."""
    sys.meta_path.insert(0, _NoTorchvision())
    import numpy as np
    import timm
    import torch

    torch.manual_seed(0)
    network = timm.create_model("inception_v4", pretrained=False, num_classes=1001).eval()
    arrays = {}
    with torch.no_grad():
        units = [m for m in network.modules() if hasattr(m, "conv") and hasattr(m, "bn")]
        for i, unit in enumerate(units):
            unit.bn.weight.fill_(1.0)  # slim has no gamma
            unit.bn.eps = 1e-3
            unit.bn.bias.normal_(0.0, 0.1)
            unit.bn.running_mean.normal_(0.0, 0.1)
            unit.bn.running_var.uniform_(0.8, 1.2)
            arrays[f"{i:03d}/weights"] = unit.conv.weight.permute(2, 3, 1, 0).numpy()  # OIHW -> HWIO
            arrays[f"{i:03d}/beta"] = unit.bn.bias.numpy()
            arrays[f"{i:03d}/moving_mean"] = unit.bn.running_mean.numpy()
            arrays[f"{i:03d}/moving_variance"] = unit.bn.running_var.numpy()
        arrays["logits/weights"] = network.last_linear.weight.T.numpy()
        arrays["logits/biases"] = network.last_linear.bias.numpy()
        images = torch.rand(2, 3, 299, 299) * 2 - 1
        arrays["input"] = images.permute(0, 2, 3, 1).numpy()
        arrays["pooled"] = network.forward_features(images).mean((2, 3)).numpy()
        arrays["Logits"] = network(images).numpy()
    np.savez(path, **arrays)
    print(f"{path}: {len(units)} convolutions of timm {timm.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
