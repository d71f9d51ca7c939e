"""The sentence discriminator, which is also the sentence encoder (UIC spec 7.3).

Shapes: B batch, T time, E embedding, H hidden. One LSTM reads a sentence; a linear head judges every position
(real or generated), a second head maps the last output to the space of image features.
"""

import tensorflow as tf

from models import layers
from models.lstm import BasicLSTM
from models.randomness import apply_mask, dropout_mask, fold_in


class SentenceLSTM(tf.Module):
    """Holds the cell under the attribute path of the authors' variable names (`Discriminator/rnn/...`)."""

    def __init__(self, emb_dim, mem_dim, seed):
        super().__init__()
        self.basic_lstm_cell = BasicLSTM(emb_dim, mem_dim, seed, "Discriminator/rnn")


class Discriminator(tf.Module):
    """Networks of the scope `Discriminator/`; `heads` says which of fc and recon a stage has."""

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
        """Runs the LSTM over sentences; `seed` draws the dropout masks, None drops nothing.

        Returns:
          outputs_TBH: float32, after output dropout, zero past a row's length.
          hidden_BH: float32, the clean hidden state after each row's last word.
        """
        inputs_TBE = tf.gather(self.embedding, tf.transpose(tokens_BT))
        inputs_TBE = apply_mask(inputs_TBE, self._mask(tf.shape(inputs_TBE), seed, "inputs"))
        outputs_TBH, (_, hidden_BH) = self.rnn.basic_lstm_cell.sequence(inputs_TBE, lengths_B)
        return apply_mask(outputs_TBH, self._mask(tf.shape(outputs_TBH), seed, "outputs")), hidden_BH

    def _mask(self, shape, seed, purpose):
        return None if seed is None else dropout_mask(shape, self.keep_prob, fold_in(seed, purpose))

    def judge(self, outputs_TBH):
        """Logit that each position belongs to a real sentence: float32 [B, T]; past the length it is the bias of fc."""
        return tf.transpose(self.fc(outputs_TBH)[:, :, 0])

    def sentence_feature(self, outputs_TBH, lengths_B):
        """x' = unit(W o_last + b) from the last valid output, after dropout (quirk Q10): float32 [B, E]."""
        rows = tf.range(tf.shape(lengths_B)[0])
        last_BH = tf.gather_nd(outputs_TBH, tf.stack([lengths_B - 1, rows], 1))
        return layers.unit(self.recon(last_BH))

    def __call__(self, tokens_BT, lengths_B, seed):
        """(logits [B, T], sentence features [B, E]) of the sentences; None for the features without the head recon."""
        outputs_TBH, _ = self.read(tokens_BT, lengths_B, seed)
        feature_BE = self.sentence_feature(outputs_TBH, lengths_B) if self.recon else None
        return self.judge(outputs_TBH), feature_BE
