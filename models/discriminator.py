"""The sentence discriminator, which is also the sentence encoder (Feng et al. 2019, equations 3 and 7).

Shapes: B batch, T time, E embedding, H hidden. One LSTM reads a sentence. A linear head classifies every position as
real or generated; a second head maps the last output to the space of image features.
"""

import tensorflow as tf

from models import layers
from models.lstm import BasicLSTM
from models.randomness import apply_mask, dropout_mask, fold_in


class SentenceLSTM(tf.Module):
    """Holds the LSTM cell, so that its variables have the authors' names (`Discriminator/rnn/...`)."""

    def __init__(self, emb_dim, mem_dim, seed):
        super().__init__()
        self.basic_lstm_cell = BasicLSTM(emb_dim, mem_dim, seed, "Discriminator/rnn")


class Discriminator(tf.Module):
    """Embedding, LSTM and heads of the scope `Discriminator/`. `heads` names the heads to build: fc, recon."""

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

        Args: tokens_BT: int32. lengths_B: int32. seed: int32 [2] of the dropout masks, None for no dropout.

        Returns:
          outputs_TBH: float32, after output dropout, zero past a row's length.
          hidden_BH: float32, the hidden state after each row's last word, without dropout.
        """
        shape = [tf.shape(tokens_BT)[1], tf.shape(tokens_BT)[0]]
        return self._run(tokens_BT, lengths_B, self._masks(*shape, seed))

    def read_all(self, *sentences):
        """Runs the LSTM once over several sets of sentences, each with the dropout masks that `read` would draw.

        Args: sentences: (tokens_BT, lengths_B, seed) of each set.

        Returns: list of outputs_TBH, one for each set, as `read` returns them.
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
        inputs_TBE = apply_mask(tf.gather(self.embedding, tf.transpose(tokens_BT)), masks[0])
        outputs_TBH, (_, hidden_BH) = self.rnn.basic_lstm_cell.sequence(inputs_TBE, lengths_B)
        return apply_mask(outputs_TBH, masks[1]), hidden_BH

    def _masks(self, steps, batch, seed):
        """Returns the dropout masks (of inputs, of outputs), or (None, None) without a seed."""
        if seed is None:
            return None, None
        sizes = {"inputs": self.embedding.shape[1], "outputs": self.rnn.basic_lstm_cell.hidden_dim}
        return tuple(
            dropout_mask([steps, batch, size], self.keep_prob, fold_in(seed, purpose))
            for purpose, size in sizes.items()
        )

    def judge(self, outputs_TBH):
        """Logit that each position belongs to a real sentence: float32 [B, T]. Past a row's length: the bias of fc."""
        return tf.transpose(self.fc(outputs_TBH)[:, :, 0])

    def sentence_feature(self, outputs_TBH, lengths_B):
        """x' = unit(W o_last + b) from the last valid output, after dropout (quirk Q10): float32 [B, E]."""
        rows = tf.range(tf.shape(lengths_B)[0])
        last_BH = tf.gather_nd(outputs_TBH, tf.stack([lengths_B - 1, rows], 1))
        return layers.unit(self.recon(last_BH))

    def __call__(self, tokens_BT, lengths_B, seed):
        """Returns (logits float32 [B, T], sentence features float32 [B, E] or None without the head recon)."""
        outputs_TBH, _ = self.read(tokens_BT, lengths_B, seed)
        return self.judged(outputs_TBH, lengths_B)

    def judged(self, outputs_TBH, lengths_B):
        """Returns what `__call__` returns, from the outputs of `read`."""
        feature_BE = self.sentence_feature(outputs_TBH, lengths_B) if self.recon else None
        return self.judge(outputs_TBH), feature_BE
