"""Runs a script on a CPU split into several logical devices, to test the code for several GPUs without GPUs.

python -m tests.logical_cpus 2 train --devices=CPU:0,CPU:1 --data_dir=...
"""

import runpy
import sys

import tensorflow as tf


def main():
    count, module = int(sys.argv[1]), sys.argv[2]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
