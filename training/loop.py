"""The training loop of all trainers: the device runs several updates in one call, Python does all else between calls.

A call is one run of the compiled function, at most `steps_per_loop` updates. The loop depends on no model. The methods
of an objective are
    phase(step) -> (name, end):         the phase of a step, and the step at which it ends (None: never);
    update(batch, seed, phase) -> dict: one training step in one replica; metrics as name -> (sum, count);
                                        its gradients go through training.accumulation.accumulated, for --accumulate;
    checkpointed() -> dict:             the contents of a checkpoint: name -> network or optimizer.
The (sum, count) of a metric is over the rows of the replica; the loop adds up those of all replicas and of the steps of
a summary interval, then logs sum / count. Batches have the attributes and methods that input_pipeline/batches.py
describes: `batch(step, rows)` returns a dict name -> numpy array, and `names(step)` the list of the examples' names for
error reports. Both are pure functions of the step, so that a resumed run does exactly what an
uninterrupted one would have done. In a cluster every process runs this loop; only the chief writes files.
"""

import os
import queue
import signal
import threading
import time

import numpy as np
import tensorflow as tf

import aliases
import cli
from formats.sidecars import write_json
from models.randomness import fold_in
from training import checkpoints, distribution
from training.patience import Patience
from training.run_directory import MetricsFile

EXIT_INTERRUPTED = 75  # sysexits' EX_TEMPFAIL: run the same command again


class Interrupted(SystemExit):
    """Ends the process with exit code 75 after SIGTERM or SIGINT; it is raised once the checkpoint is saved."""

    def __init__(self):
        super().__init__(EXIT_INTERRUPTED)


# --------------------------------------------------------------------------------------------------------------
# The plan: the steps of each call


def plan(step, options, phase):
    """Yields (first step, number of steps, phase name) for each call, from `step` until options.max_steps.

    A call ends at multiples of steps_per_loop, of the summary interval and of the checkpoint interval, and at the end
    of a phase. So a resumed run has the same calls as an uninterrupted one. Steps are counted from 0.

    Args: options: config.Trainer. phase: function step -> (name, step at which the phase ends or None).
    """
    intervals = (options.steps_per_loop, options.save_summary_steps, options.save_checkpoint_steps)
    while step < options.max_steps:
        name, phase_end = phase(step)
        ends = [(step // interval + 1) * interval for interval in intervals]
        end = min([*ends, options.max_steps] + ([phase_end] if phase_end is not None else []))
        yield step, end - step, name
        step = end


class Prefetch:
    """Makes the batches of the planned calls in a thread, at most `depth` calls ahead."""

    def __init__(self, batches, rows, calls, depth=2):
        """Starts the thread.

        Args: batches: object with `batch(step, rows)`. rows: indices of the rows of each step that this process needs.
          calls: iterable of (first step, number of steps, phase), from `plan`. depth: maximum number of calls whose
          batches wait in memory.
        """
        self._queue, self._stopped, self._rows = queue.Queue(depth), threading.Event(), rows
        self._thread = threading.Thread(target=self._fill, args=(batches, calls), daemon=True)
        self._thread.start()

    def _fill(self, batches, calls):
        """Makes the batches of all calls and puts them into the queue, then None; if an error occurs, the error."""
        try:
            for first, count, phase in calls:
                made = [batches.batch(step, self._rows) for step in range(first, first + count)]
                stack = {name: np.stack([batch[name] for batch in made]) for name in made[0]}
                if not self._put((first, count, phase, stack)):
                    return
            self._put(None)
        except BaseException as error:  # the training thread raises it
            self._put(error)

    def _put(self, item):
        """Puts an item into the queue, waiting while it is full. Returns False if `stop` was called meanwhile."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self):
        """Yields (first step, number of steps, phase, batches, seconds waited for them) for each call.

        The batches of a call are stacked: dict name -> numpy array [steps, rows, ...]. An error that occurred in the
        thread is raised here. It can be iterated once.
        """
        while True:
            start = time.monotonic()
            item = self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                return
            yield *item, time.monotonic() - start

    def stop(self):
        """Ends the thread and waits for its end; batches that were made and not yet used are lost."""
        self._stopped.set()
        self._thread.join()


# --------------------------------------------------------------------------------------------------------------
# The compiled call


def make_run_steps(objective, strategy, seed):
    """Returns (run_steps, names): a compiled function that runs several updates, and the names of their metrics.

    run_steps(stack, first step, number of steps, phase) returns the metrics, float32 [steps, metrics, 2], each a pair
    (sum, count) over all replicas; stack is the result of Shares.deal, the two numbers are int32 scalar tensors, phase
    is a str. names is a dict phase -> list of the metrics' names in this order, filled at the first call of each phase.

    Args: objective: object with the methods in the module docstring. strategy: tf.distribute.Strategy. seed: int, seed
      of the run.
    """
    names = {}

    def one_step(stack, index, first):
        step = first + index
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step_seed = fold_in(fold_in(fold_in(tf.constant([seed, 0], tf.int32), "step"), step), replica)
        batch = {name: values[index] for name, values in stack.items()}
        metrics = objective.update(batch, step_seed, one_step.phase)
        order = names[one_step.phase] = sorted(metrics)
        return tf.stack([tf.stack([tf.cast(part, tf.float32) for part in metrics[name]]) for name in order])

    @tf.function(reduce_retracing=True)
    def run_steps(stack, first, count, phase):
        one_step.phase = phase
        collected = tf.TensorArray(tf.float32, count, element_shape=[None, 2])
        for index in tf.range(count):
            shares = strategy.run(one_step, (stack, index, first))
            collected = collected.write(index, strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None))
        return collected.stack()

    return run_steps, names


# --------------------------------------------------------------------------------------------------------------
# The loop


class Loop:
    """Trains an objective in a run directory until max_steps, a signal, or a value that is not finite.

    Attributes: step: the number of finished steps. resumed: whether a checkpoint of a step above 0 was restored.
    """

    def __init__(self, options, objective, batches, strategy, run, evaluate=None):
        """Restores the newest checkpoint of the run, if there is one.

        Args:
          options: config.Trainer. strategy: tf.distribute.Strategy. run: training.run_directory.RunDirectory.
          objective, batches: objects with the methods listed in the module docstring.
          evaluate: function that is called with the step before every regular checkpoint and returns a dict name ->
            number, which is logged with the prefix "eval/"; None for no evaluation.

        Raises: cli.UserError if all checkpoints are damaged, or the batch size is not a multiple of the number of
          replicas times --accumulate.
        """
        self.options, self.objective, self.batches = options, objective, batches
        self.strategy, self.run, self.evaluate = strategy, run, evaluate
        self.total = distribution.make_total(strategy)
        per_step = batches.examples // batches.batch_size
        self.shares = distribution.Shares(strategy, batches.examples, per_step, options.accumulate)
        self.parts = objective.checkpointed()
        if run.writes:
            checkpoints.finish_saves(options.job_dir)
        self.step, state = checkpoints.restore_newest(options.job_dir, self.parts, self.warn)
        self.resumed = self.step > 0
        pending = state.get("pending", {}).items()
        self.pending = {aliases.current_metric(name): np.asarray(pair) for name, pair in pending}
        self.signal, self.patience = 0, Patience(options, run)

    def warn(self, message):
        """Logs a message as a warning."""
        self.run.log(f"WARNING: {message}")

    def train(self):
        """Trains until options.max_steps, or until --patience ends the run; can be called once.

        If the run has already reached its end, it prints a message and trains nothing; the lock of the run is kept.
        Otherwise the lock is released at the end, after an error too.

        Raises: Interrupted after SIGTERM or SIGINT; cli.UserError if a value is not finite, a worker is lost, or a file
          cannot be written.
        """
        options, run = self.options, self.run
        if self.step >= options.max_steps:
            run.log(f"{options.job_dir} is complete: step {self.step} of {options.max_steps}")
            return
        if self._improves_no_more():
            return
        run.log(f"{options.job_dir}: " + (f"continues at step {self.step}" if self.resumed else "starts"))
        old_handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        prefetch = Prefetch(self.batches, self.shares.rows, plan(self.step, options, self.objective.phase))
        try:
            self._same_start()
            self.metrics_file = MetricsFile(run, self.step)
            self._calls(prefetch)
        except tf.errors.OpError as error:
            if not distribution.spans_processes(self.strategy):
                raise
            raise cli.UserError(
                f"another worker was lost, or did not answer for {options.worker_timeout} s, after step {self.step} "
                f"({type(error).__name__}). Start all workers again with the same command: they continue from the "
                "newest checkpoint."
            ) from error
        finally:
            prefetch.stop()
            for number, handler in old_handlers.items():
                signal.signal(number, handler)
            self.run.close()

    def _same_start(self):
        """Raises cli.UserError unless all workers of a cluster have restored the same step."""
        mean = self.total(self.step) / self.total(1)
        spread = self.total((self.step - mean) ** 2)
        if spread > 0:
            raise cli.UserError(
                f"the workers are at different steps, this one at {self.step}: {self.options.job_dir} must be a folder "
                "that all workers share"
            )

    def _on_signal(self, number, frame):
        self.signal = number

    def _calls(self, prefetch):
        """Runs the planned calls; between them it checks, logs, evaluates and saves.

        Args: prefetch: Prefetch over the calls.
        Raises: Interrupted after a signal; cli.UserError if a value is not finite or a file cannot be written.
        """
        options = self.options
        run_steps, names = make_run_steps(self.objective, self.strategy, options.seed)
        bar = self._bar()
        waited, started, first_of_interval = 0.0, time.monotonic(), self.step
        for first, count, phase, stack, wait in prefetch:
            waited += wait
            values = run_steps(self.shares.deal(stack), tf.constant(first), tf.constant(count), phase).numpy()
            self._check_finite(values, names[phase], first)
            for index, name in enumerate(names[phase]):
                pair = values[:, index].astype(np.float64).sum(0)
                self.pending[name] = self.pending.get(name, 0.0) + pair
            self.step = first + count
            bar.update(count)
            if self.step % options.save_summary_steps == 0 or self.step == options.max_steps:
                seconds = time.monotonic() - started
                self._summarise(bar, seconds, waited, self.step - first_of_interval)
                waited, started, first_of_interval = 0.0, time.monotonic(), self.step
            stopped = self.total(self.signal) > 0  # here or in another worker
            regular = self.step % options.save_checkpoint_steps == 0 or self.step == options.max_steps
            if regular or stopped:
                self._checkpoint(regular)
            if stopped:
                number = self.signal or "in another worker"
                self.run.log(f"signal {number}: saved step {self.step}; the same command continues")
                raise Interrupted()
            if regular and self._improves_no_more():
                break
        bar.close()

    def _improves_no_more(self):
        """Returns whether --patience ends the run; the same in all processes of a cluster."""
        return bool(self.options.patience) and self.total(float(self.patience.ends(self.step))) > 0

    def _bar(self):
        """Returns tqdm's progress bar over the steps; it is shown on a terminal, by the chief only."""
        from tqdm import tqdm

        return tqdm(
            total=self.options.max_steps,
            initial=self.step,
            desc=os.path.basename(self.options.job_dir.rstrip("/")),
            unit="step",
            dynamic_ncols=True,
            disable=None if self.run.writes else True,  # None: only on a terminal
        )

    def _summarise(self, bar, seconds, waited, steps):
        """Writes and logs the metrics and timing of a summary interval, then sets the sums to zero.

        The value of a metric is its sum divided by its count, both over the steps and replicas of the interval.

        Args: bar: the progress bar. seconds: duration of the interval. waited: seconds of it spent waiting for batches.
          steps: number of steps in it.
        """
        values = {name: float(pair[0] / max(pair[1], 1e-12)) for name, pair in sorted(self.pending.items())}
        self.pending = {}
        self.metrics_file.write(self.step, values)
        timing = {
            "seconds_per_step": seconds / steps,
            "waiting_share": waited / seconds,
            "examples_per_second": steps * self.batches.batch_size / seconds,
        }
        self.metrics_file.write(self.step, timing, "timing.jsonl")
        shown = {name: value for name, value in values.items() if "/" not in name or name.startswith("loss/")}
        text = " ".join(f"{name} {value:.4g}" for name, value in shown.items())
        bar.clear()
        self.run.log(f"step {self.step}/{self.options.max_steps} {text} | {timing['seconds_per_step']:.3f} s/step")

    def _checkpoint(self, regular):
        """Saves a checkpoint and removes superseded ones.

        Args: regular: whether the step is a multiple of save_checkpoint_steps or the last one; only then it evaluates
          first.
        Raises: cli.UserError if a variable is not finite or the files cannot be written.
        """
        options = self.options
        not_finite = checkpoints.not_finite(self.parts)
        if not_finite:
            self._stop(self.step, {"step": self.step, "not_finite": not_finite})
        if regular and self.evaluate is not None:
            values = self.evaluate(self.step)
            self.metrics_file.write(self.step, {f"eval/{name}": value for name, value in values.items()})
        if not self.run.writes:
            return
        pending = {name: [float(part) for part in pair] for name, pair in self.pending.items()}
        try:
            checkpoints.save(options.job_dir, self.step, self.parts, {"step": self.step, "pending": pending})
        except (OSError, tf.errors.OpError) as error:
            first_line = str(error).splitlines()[0]
            raise cli.UserError(
                f"checkpoint of step {self.step} could not be written ({first_line}). Older checkpoints are intact; "
                "free disk space and run the same command again."
            ) from error
        checkpoints.remove_superseded(options.job_dir, options.keep_checkpoints, options.keep_every_steps)

    def _check_finite(self, values, names, first):
        """Raises cli.UserError, before anything is saved, if a metric is not finite.

        Args: values: float32 [steps, metrics, 2], (sum, count) from run_steps. names: list of the metrics' names.
          first: int, the step of values[0].
        """
        bad = ~np.isfinite(values).all(axis=(1, 2))
        if not bad.any():
            return
        at = int(np.argmax(bad))
        found = {name: [float(part) for part in values[at, i]] for i, name in enumerate(names)}
        report = {
            "step": first + at,
            "not_finite": [name for name, pair in found.items() if not np.isfinite(pair).all()],
            "metrics": {name: [repr(part) for part in pair] for name, pair in found.items()},
            "examples": self.batches.names(first + at),
        }
        self._stop(first + at, report)

    def _stop(self, step, report):
        """Writes a report to RUN/postmortem.json and raises cli.UserError.

        Args: step: int, for the message. report: dict that JSON can hold, with "not_finite", the list of the names of
          the metrics or variables that are not finite.
        """
        path = self.run.file("postmortem.json")
        if self.run.writes:
            write_json(path, report)
        raise cli.UserError(
            f"step {step}: {', '.join(report['not_finite'])} not finite. Nothing was saved after step "
            f"{(checkpoints.steps_in(self.options.job_dir) or [0])[-1]}; see {path}. A lower learning rate often helps."
        )
