"""The blocks of a network of keras.applications, and the network with other weights in some of them.

The layers of a block have names that begin alike: conv5_block3 (ResNet, DenseNet), block5 (VGG, Xception), block7a
(EfficientNet), block_16 (MobileNetV2), stage_3_block_2 (ConvNeXt), expanded_conv_10 (MobileNetV3). Any other layer with
weights, such as those of Inception-v3, is a block of its own. Layers of batch normalisation belong to no block: they
are never trained, and always normalise by the moments of their file.
"""

import re

import keras
import tensorflow as tf

BLOCK = re.compile(r"(.*?block_?\d+[a-z]?|expanded_conv(_\d+)?)(?=_|/|$)")


def name_of(layer):
    """Returns the name of the block to which a layer belongs. Args: layer: the name of the layer."""
    found = BLOCK.match(layer)
    return found[0] if found else layer


def blocks_of(network):
    """Returns the blocks of a network, in the order of their first layers: list of dict name -> keras.Variable.

    A weight is named by the number of its layer and its own number in it, because Keras numbers layers without a name
    of their own anew in every process. Args: network: keras.Model.
    """
    blocks = {}
    for number, layer in enumerate(network.layers):
        if not isinstance(layer, keras.layers.BatchNormalization) and layer.trainable_weights:
            weights = enumerate(layer.trainable_weights)
            named = {f"layer{number}_{i}_{weight.name}": weight for i, weight in weights}
            blocks.setdefault(name_of(layer.name), {}).update(named)
    return list(blocks.values())


def output(network, inputs, weights):
    """Returns the output of a network in inference mode: a tensor.

    Args: network: keras.Model. inputs: its input. weights: dict name, as in `blocks_of`, -> tensor or variable, which
      takes the place of the network's own weight.
    """
    if not weights:
        return network(inputs, training=False)
    named = {name: weight for block in blocks_of(network) for name, weight in block.items()}
    other = {id(named[name]): tf.convert_to_tensor(weights[name]) for name in weights}
    trainable = [other.get(id(variable), variable.value) for variable in network.trainable_variables]
    fixed = [variable.value for variable in network.non_trainable_variables]
    return network.stateless_call(trainable, fixed, inputs, training=False)[0]
