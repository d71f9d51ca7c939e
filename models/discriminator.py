"""The sentence discriminator, which is also the sentence encoder (Feng et al. 2019, equations 3 and 7).

One LSTM reads a sentence. The linear head `fc` classifies every position as real or generated; the linear head `recon`
maps the last output to the space of image features. Quirks (Q10) are listed in docs/implementation_details.md.

Shapes: B batch, T time, V vocabulary, E embedding, H hidden.
"""

import tensorflow as tf

from models import layers
from models.lstm import BasicLSTM
from models.randomness import apply_mask, dropout_mask, fold_in


class SentenceLSTM(tf.Module):
    """Holds the LSTM cell, so that its variables are named as in the authors' checkpoints (`Discriminator/rnn/...`).

    Args: emb_dim: E. mem_dim: H. seed: int32 [2] of the initial weights.
    """

    def __init__(self, emb_dim, mem_dim, seed):
        super().__init__()
        self.basic_lstm_cell = BasicLSTM(emb_dim, mem_dim, seed, "Discriminator/rnn")


class Discriminator(tf.Module):
    """Word embedding, LSTM and heads; its variables are in the scope `Discriminator/`.

    Args:
      vocabulary_size: V. emb_dim: E. mem_dim: H.
      keep_prob: keep probability of dropout on the inputs and outputs of the LSTM.
      seed: int32 [2], seed of the initial weights.
      heads: names of the heads to build: any of "fc" and "recon".
    """

    def __init__(self, vocabulary_size, emb_dim, mem_dim, keep_prob, seed, heads=("fc", "recon")):
        super().__init__()
        self.keep_prob = keep_prob
        self.embedding = layers.embedding_variable(
            vocabulary_size, emb_dim, fold_in(seed, "discriminator embedding"), "Discriminator"
        )
        self.rnn = SentenceLSTM(emb_dim, mem_dim, fold_in(seed, "discriminator lstm"))
        self.fc = self.recon = None
        if "fc" in heads:
            self.fc = layers.Linear(mem_dim, 1, fold_in(seed, "fc"), "Discriminator/fc")
        if "recon" in heads:
            self.recon = layers.Linear(mem_dim, emb_dim, fold_in(seed, "recon"), "Discriminator/recon")

    def read(self, tokens_BT, lengths_B, seed):
        """Runs the LSTM over sentences.

        Args:
          tokens_BT: int32 word ids. lengths_B: int32, number of words of each row.
          seed: int32 [2] of the dropout masks, None for no dropout.

        Returns: (outputs float32 [T, B, H], after output dropout, zero past a row's length; hidden states after each
          row's last word, without dropout, float32 [B, H]).
        """
        shape = [tf.shape(tokens_BT)[1], tf.shape(tokens_BT)[0]]
        return self._run(tokens_BT, lengths_B, self._masks(*shape, seed))

    def read_all(self, *sentences):
        """Runs the LSTM once over several sets of sentences, each with the dropout masks that `read` would draw.

        Args: sentences: for each set a tuple (tokens_BT, lengths_B, seed), the arguments of `read`; B and T may differ.
          Either all seeds are None or all are given.

        Returns: list of float32 [T, B, H], one for each set: outputs after output dropout, zero past a row's length.
        """
        tokens, lengths, seeds = zip(*sentences, strict=True)
        joined = layers.stacked_rows(tokens)
        masks = [
            self._masks(tf.shape(words)[1], tf.shape(words)[0], seed) for words, seed in zip(tokens, seeds, strict=True)
        ]
        if masks[0][0] is None:
            masks = None, None
        else:
            filled = lambda mask: tf.pad(mask, [[0, tf.shape(joined)[1] - tf.shape(mask)[0]], [0, 0], [0, 0]])  # noqa: E731
            masks = [tf.concat([filled(pair[k]) for pair in masks], 1) for k in range(2)]
        outputs_TBH, _ = self._run(joined, tf.concat(lengths, 0), masks)
        parts = tf.split(outputs_TBH, [tf.shape(words)[0] for words in tokens], axis=1)
        return [part[: tf.shape(words)[1]] for part, words in zip(parts, tokens, strict=True)]

    def _run(self, tokens_BT, lengths_B, masks):
        """Returns (outputs [T, B, H] after output dropout, last hidden states [B, H]).

        Args: masks: result of `_masks`.
        """
        inputs_TBE = apply_mask(tf.gather(self.embedding, tf.transpose(tokens_BT)), masks[0])
        outputs_TBH, (_, hidden_BH) = self.rnn.basic_lstm_cell.sequence(inputs_TBE, lengths_B)
        return apply_mask(outputs_TBH, masks[1]), hidden_BH

    def _masks(self, steps, batch, seed):
        """Returns dropout masks (of inputs [T, B, E], of outputs [T, B, H]), or (None, None) without a seed."""
        if seed is None:
            return None, None
        sizes = {"inputs": self.embedding.shape[1], "outputs": self.rnn.basic_lstm_cell.hidden_dim}
        return tuple(
            dropout_mask([steps, batch, size], self.keep_prob, fold_in(seed, purpose))
            for purpose, size in sizes.items()
        )

    def judge(self, outputs_TBH):
        """Returns the logit that each position belongs to a real sentence: float32 [B, T]. Needs the head fc.

        Past a row's length it is the bias of the head fc.

        Args: outputs_TBH: float32, LSTM outputs from `read` or `read_all`.
        """
        return tf.transpose(self.fc(outputs_TBH)[:, :, 0])

    def sentence_feature(self, outputs_TBH, lengths_B):
        """Returns the unit sentence feature x' = unit(W o_last + b) of the head recon, which it needs: float32 [B, E].

        o_last is the output at a row's last word, after output dropout (quirk Q10).

        Args: outputs_TBH: float32, LSTM outputs from `read`. lengths_B: int32, number of words of each row.
        """
        rows = tf.range(tf.shape(lengths_B)[0])
        last_BH = tf.gather_nd(outputs_TBH, tf.stack([lengths_B - 1, rows], 1))
        return layers.unit(self.recon(last_BH))

    def __call__(self, tokens_BT, lengths_B, seed):
        """Returns (logits float32 [B, T], sentence features float32 [B, E] or None without the head recon).

        They are the results of `judge`, which needs the head fc, and of `sentence_feature`.
        Args: tokens_BT: int32 word ids. lengths_B: int32, number of words of each row. seed: int32 [2] of the dropout
          masks, None for no dropout.
        """
        outputs_TBH, _ = self.read(tokens_BT, lengths_B, seed)
        return self.judged(outputs_TBH, lengths_B)

    def judged(self, outputs_TBH, lengths_B):
        """Returns (logits float32 [B, T], sentence features float32 [B, E] or None without the head recon).

        They are the results of `judge`, which needs the head fc, and of `sentence_feature`.
        Args: outputs_TBH: float32, LSTM outputs from `read`. lengths_B: int32, number of words of each row.
        """
        feature_BE = self.sentence_feature(outputs_TBH, lengths_B) if self.recon else None
        return self.judge(outputs_TBH), feature_BE
