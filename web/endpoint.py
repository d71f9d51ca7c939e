"""The endpoint of serve.py for programs: POST a picture to /caption, as bytes, in a form or in JSON."""

import asyncio
import contextlib
import os
import tempfile
import threading
import traceback

import fastapi
import pydantic
from fastapi import responses
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

import cli
from captioning.decode import DEFAULTS, OF_SAMPLES, RANGES, SETTINGS, DecodingFlags, decoding_of
from formats.images import ImageError, read_image
from web import bodies, page_guard, showing, uploads

MAX_BEAM = 60  # the largest that a recipe of configs/ has as its own decoding
MAX_SAMPLES = 10
EXPECTED = {"name": "a file name", "beam": f"1 to {MAX_BEAM}", "min_score": "0 to 1", "samples": f"1 to {MAX_SAMPLES}"}
EXPECTED |= {name: RANGES[name][2] for name in SETTINGS}
OLD_NAMES = {"least": "min_score"}


def _setting(name):
    """Returns the pydantic field of a setting of the decoding, None if it is not given. Args: name: one of SETTINGS."""
    return pydantic.Field(None, ge=RANGES[name][0], le=RANGES[name][1], allow_inf_nan=False)


def _whole(name):
    """Returns the field of a setting that is a whole number, as `_setting`."""
    return pydantic.Field(None, ge=RANGES[name][0], le=RANGES[name][1])


class Asked(pydantic.BaseModel):
    """The checked parameters of a request.

    Attributes: name: file name of the picture; the detector `annotations:FILE` looks up its objects by this name.
      beam: beam size. min_score: minimum detection score of the objects in the answer, 0 to 1. samples: number of
      captions to draw in place of beam search. The others are settings of captioning.decode.Decoding.
    """

    model_config = {"extra": "forbid"}
    name: str = "picture"
    beam: int = pydantic.Field(3, ge=1, le=MAX_BEAM)
    min_score: float = pydantic.Field(0.3, ge=0, le=1)
    samples: int | None = pydantic.Field(None, ge=1, le=MAX_SAMPLES)
    length_normalization: float | None = _setting("length_normalization")
    temperature: float | None = _setting("temperature")
    top_k: int | None = _whole("top_k")
    top_p: float | None = _setting("top_p")
    sample_seed: int | None = _whole("sample_seed")
    min_length: int | None = _whole("min_length")
    no_repeat_ngram: int | None = _whole("no_repeat_ngram")
    repetition_penalty: float | None = _setting("repetition_penalty")
    consensus_weight: float | None = _setting("consensus_weight")

    def decoding(self):
        """Returns the Decoding that is asked for, None if none is: then each run decodes by its own default.

        Raises: uploads.Refused if parameters contradict each other.
        """
        if not self.model_fields_set & {"beam", "samples", *SETTINGS}:
            return None
        if self.samples and "beam" in self.model_fields_set:
            raise uploads.Refused("beam and samples are both given; expected one of them.", 422)
        return decoding(self.beam, self.samples, {name: getattr(self, name) for name in SETTINGS})


def decoding(beam, samples, settings):
    """Returns the captioning.decode.Decoding of a request.

    Args: beam: beam size, unless `samples`: number of captions to draw; None or 0 for beam search. settings: dict name
      of a setting -> value, or None.
    Raises: uploads.Refused if they contradict each other.
    """
    chosen = {"samples": samples} if samples else {"decode": f"beam{beam}"}
    with _refused():
        return decoding_of(DecodingFlags(**chosen, **{k: v for k, v in settings.items() if v is not None}))


def decoding_of_fields(beam, samples, values):
    """Returns the Decoding of the page's fields, of which those of sampling count only with samples.

    Args: beam, samples: as of `decoding`. values: dict name of a setting -> number. Raises: uploads.Refused.
    """
    values = {name: type(DEFAULTS[name])(value) for name, value in values.items() if samples or name not in OF_SAMPLES}
    return decoding(beam, samples, values)


@contextlib.contextmanager
def _refused():
    """Context manager: raises uploads.Refused (status 422) for a cli.UserError, whose flags become parameters."""
    try:
        yield
    except cli.UserError as error:
        raise uploads.Refused(f"{str(error).replace('--', '')}.", 422) from error


def asked(parameters):
    """Checks the parameters of a request, from its address and its body; returns Asked, with defaults for missing ones.

    Args: parameters: list of (name, value), a value is a str or any JSON value.
    Raises: uploads.Refused for an unknown or repeated name, or a wrong value.
    """
    given = {}
    for name, value in parameters:
        name = OLD_NAMES.get(name, str(name))
        if name in given:
            raise uploads.Refused(f"{name[:40]} is given twice.", 422)
        if name not in EXPECTED:
            raise uploads.Refused(f"{name[:40]} is not a parameter; expected {', '.join(EXPECTED)}.", 422)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise _unexpected(name, value)
        given[name] = str(value) if name == "name" else value
    try:
        return Asked.model_validate(given)
    except pydantic.ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise _unexpected(name, given[name]) from error


def _unexpected(name, value):
    """Returns the uploads.Refused (status 422) for the parameter `name`, a key of EXPECTED, with a wrong value."""
    return uploads.Refused(f"{name} is {str(value)[:40]}; expected {EXPECTED[name]}.", 422)


def router(runs, turns, folder):
    """Returns a fastapi.APIRouter with the routes GET /runs and POST /caption.

    Args: runs: list of showing.Shown. turns: turns.Turns, the queue of the network. folder: existing folder where an
      upload is kept while it is processed.
    """
    routes = fastapi.APIRouter()

    @routes.get("/runs")
    def list_runs():
        return [{"run": run.name, "checkpoint": run.checkpoint} for run in runs]

    @routes.post("/caption")
    async def caption(request: fastapi.Request):
        try:
            asked(request.query_params.multi_items())  # before anything is written
            with tempfile.TemporaryDirectory(dir=folder) as private:
                body = os.path.join(private, "body")
                await receive_file(request, body)
                query, kind = request.query_params.multi_items(), request.headers.get("content-type", "")
                return await unless_gone(request, answered, runs, body, kind, query, turns)
        except uploads.Refused as refused:
            return page_guard.refusal(refused)
        except Exception:
            traceback.print_exc()
            return page_guard.refusal(uploads.Refused("The server failed; its terminal says why.", 500))

    return routes


async def receive_file(request, path):
    """Writes the body of a request to the new file `path`. Args: request: fastapi.Request."""
    with open(path, "xb") as file:
        async for part in request.stream():
            file.write(part)


async def unless_gone(request, function, *arguments):
    """Runs function(*arguments, gone) in a thread, and returns its result.

    Args: request: fastapi.Request. function: its last argument `gone` is a threading.Event that is set when the client
      disconnects; it may raise ClientDisconnect then.
    Returns: the function's result; after ClientDisconnect a response of status 400, which nobody receives.
    """
    gone = threading.Event()

    async def watch():
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watcher = asyncio.create_task(watch())
    try:
        return await run_in_threadpool(function, *arguments, gone)
    except ClientDisconnect:
        page_guard.say(request.scope, "the client is gone")
        return responses.Response(status_code=400)
    finally:
        watcher.cancel()


def unpacked(body, content_type, query):
    """Writes the picture of a request to a file; returns (path of the file, Asked).

    Args: body: path of the file with the request's body; the picture is written to a new folder beside it.
      content_type: header of the request. query: list of (name, value) from the address.
    Raises: uploads.Refused for a body without a picture, a wrong parameter, or a name that cannot be a file name.
    """
    with uploads.CHECKS:  # limits how many bodies are in memory at once
        with open(body, "rb") as file:
            sent = bodies.read(file.read(), content_type)
        given = asked(query + sent.parameters)
        name = given.name if "name" in given.model_fields_set else sent.file_name.replace("\\", "/") or given.name
        folder = os.path.join(os.path.dirname(body), "picture")
        os.mkdir(folder)
        path = os.path.join(folder, os.path.basename(name.replace("\0", "")) or "picture")
        try:
            with open(path, "xb") as file:
                file.write(sent.picture)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a name"
            raise uploads.Refused(f"name cannot be used as a file name ({reason}).", 422) from error
    return path, given


def answered(runs, body, content_type, query, turns, gone):
    """Captions the picture of a request; returns {"runs": list of dicts from `as_json`}.

    Args: runs: list of showing.Shown. body: path of the file with the request's body. content_type: its header.
      query: list of (name, value) from the address. turns: turns.Turns.
      gone: threading.Event that is set when the client disconnects.
    Raises: uploads.Refused for a wrong request or picture, or if too many wait; ClientDisconnect when the client has
      disconnected before its turn.
    """
    path, given = unpacked(body, content_type, query)
    try:
        _, found = answer_of(runs, path, given.decoding(), given.min_score, turns, gone)
    except uploads.Refused as refused:
        if refused.status == 415 or "urlencoded" in content_type and "damaged" in refused.message:
            raise uploads.Refused(f"{refused.message} If the file is one, {bodies.HINT}.", refused.status) from refused
        raise
    return {"runs": [as_json(run, answer) for run, answer in zip(runs, found, strict=True)]}


def answer_of(runs, path, decode, min_score, turns, gone=None):
    """Waits for a turn in the queue, then captions an image file by each run.

    Args:
      runs: list of showing.Shown. path: the image file. decode: captioning.decode.Decoding, or its name; None for each
        run's default.
      min_score: minimum detection score of the objects in an answer, 0 to 1.
      turns: turns.Turns. gone: threading.Event that is set when the client disconnects, or None.
    Returns: tuple of two lists with one element for each run: small copies of the picture in the orientation that the
      run read, uint8 [H, W, 3]; and showing.Answer.
    Raises: uploads.Refused if the picture cannot be read, too many wait, or it waited too long;
      ClientDisconnect if `gone` is set before the turn.
    """
    cost = uploads.check_file(path)
    return turns.take(cost, lambda: _answers(runs, path, decode, min_score, gone))


def _answers(runs, path, decode, min_score, gone):
    """Captions an image file by each run without waiting for a turn; returns the two lists that `answer_of` returns.

    Args: runs: list of showing.Shown. path: of a file that uploads.check_file has accepted.
      decode: captioning.decode.Decoding, or its name; None for each run's default.
      min_score: minimum detection score of the objects in an answer. gone: threading.Event or None.
    Raises: uploads.Refused if the picture cannot be read; ClientDisconnect if `gone` is set.
    """
    if gone is not None and gone.is_set():
        raise ClientDisconnect
    picture = uploads.read_upload(path)  # decoded once for all runs
    try:
        with _refused():  # a setting that does not fit a run
            found = [run.answer(picture, decode, min_score) for run in runs]
        return [uploads.small_copy(read_image(picture, answer.exif)) for answer in found], found
    except ImageError as error:
        raise uploads.Refused(f"The picture cannot be captioned: {error.reason}.", 422) from error


def as_json(run, answer):
    """Returns a run's answer as a dict for JSON.

    Its keys are "run", "checkpoint", "caption" (the best one), "nbest" (list of dicts with "caption", "log_prob",
    "probability" and "words", the pairs [word, log-probability]; best first) and "objects" (list of dicts with "name",
    "score" and "box", a list ymin, xmin, ymax, xmax in 0 to 1; None if `answer.objects` is None). "note" is added if
    the picture was read in another orientation than viewers show, "attention" (list of dicts with "word" and "weights",
    one for each cell) if the run has it.

    Args: run: showing.Shown. answer: showing.Answer.
    """
    result = {"run": run.name, "checkpoint": run.checkpoint, "caption": answer.hypotheses[0].text}
    result["nbest"] = [one.to_json() | {"probability": showing.chances(one)[0]} for one in answer.hypotheses]
    result["objects"] = answer.objects and [
        {"name": found.class_name, "score": round(found.score, 4), "box": [round(float(edge), 4) for edge in found.box]}
        for found in answer.objects
    ]
    if answer.lies_otherwise:
        result["note"] = showing.LIES_OTHERWISE
    if answer.words is not None:
        rows = [[round(float(weight), 5) for weight in row] for row in answer.weights_TC]
        result["attention"] = [{"word": word, "weights": row} for word, row in zip(answer.words, rows, strict=True)]
    return result
