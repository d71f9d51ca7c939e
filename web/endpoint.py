"""The endpoint of serve.py for programs: POST an image file to /caption."""

import asyncio
import os
import tempfile
import threading

import fastapi
import pydantic
from fastapi import responses
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from formats.images import ImageError
from web import page_guard, showing, uploads

MAX_BEAM = 10
EXPECTED = {"name": "a file name", "beam": f"1 to {MAX_BEAM}", "min_score": "0 to 1"}
OLD_NAMES = {"least": "min_score"}


class Asked(pydantic.BaseModel):
    """The query. name: file name, for detectors that know objects by it. beam: captions. min_score: of objects."""

    model_config = {"extra": "forbid"}
    name: str = "picture"
    beam: int = pydantic.Field(3, ge=1, le=MAX_BEAM)
    min_score: float = pydantic.Field(0.3, ge=0, le=1)


def asked(query):
    """The query of a request (a mapping of strings) as `Asked`. Raises uploads.Refused."""
    query = {OLD_NAMES.get(name, name): value for name, value in query.items()}
    try:
        return Asked.model_validate(query)
    except pydantic.ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        if name not in EXPECTED:
            message = f"{name[:40]} is no parameter; expected {', '.join(EXPECTED)}."
        else:
            message = f"{name} is {query[name][:40]}; expected {EXPECTED[name]}."
        raise uploads.Refused(message, 422) from error


def router(runs, turns, folder):
    """The routes /runs and /caption.

    Args: runs: list of showing.Shown. turns: turns.Turns. folder: where files are kept while they are looked at.
    """
    routes = fastapi.APIRouter()

    @routes.get("/runs")
    def list_runs():
        return [{"run": run.name, "checkpoint": run.checkpoint} for run in runs]

    @routes.post("/caption")
    async def caption(request: fastapi.Request):
        try:
            query = asked(request.query_params)
            with tempfile.TemporaryDirectory(dir=folder) as private:
                path = os.path.join(private, os.path.basename(query.name.replace("\0", "")) or "picture")
                await receive_file(request, path)
                return await unless_gone(request, answered, runs, path, query, turns)
        except uploads.Refused as refused:
            return page_guard.refusal(refused)

    return routes


async def receive_file(request, path):
    """Writes the body of a request to a file. Raises uploads.Refused."""
    try:
        file = open(path, "xb")
    except OSError as error:
        raise uploads.Refused(f"name cannot be used as a file name ({error.strerror}).", 422) from error
    with file:
        async for part in request.stream():
            file.write(part)


async def unless_gone(request, function, *arguments):
    """function(*arguments, gone) in a thread; `gone` is a threading.Event that is set when the client goes away."""
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


def answered(runs, path, query, turns, gone):
    """The answer of the endpoint (JSON-able). Raises uploads.Refused; ClientDisconnect when nobody waits for it."""
    _, found = answer_of(runs, path, query.beam, query.min_score, turns, gone)
    return {"runs": [as_json(run, answer) for run, answer in zip(runs, found, strict=True)]}


def answer_of(runs, path, beam, min_score, turns, gone=None):
    """(a small copy of the picture, one showing.Answer for each run) of an uploaded file, when its turn comes.

    Args: gone: threading.Event that is set when nobody waits for the answer any more, or None.
    Raises: uploads.Refused, ClientDisconnect.
    """
    cost = uploads.check_file(path)
    return turns.take(cost, lambda: _answers(runs, path, beam, min_score, gone))


def _answers(runs, path, beam, min_score, gone):
    """What `answer_of` returns, at once."""
    if gone is not None and gone.is_set():
        raise ClientDisconnect
    picture = uploads.read_upload(path)  # once for all runs
    try:
        return uploads.small_copy(picture.pixels_HWC), [run.answer(picture, beam, min_score) for run in runs]
    except ImageError as error:
        raise uploads.Refused(f"The picture cannot be captioned: {error.reason}.", 422) from error


def as_json(run, answer):
    """What a run says, for programs."""
    result = {"run": run.name, "checkpoint": run.checkpoint, "caption": answer.hypotheses[0].text}
    result["nbest"] = [
        {"caption": h.text, "log_prob": round(h.log_prob, 6), "probability": showing.chances(h)[0]}
        for h in answer.hypotheses
    ]
    result["objects"] = answer.objects and [
        {"name": found.class_name, "score": round(found.score, 4), "box": [round(float(edge), 4) for edge in found.box]}
        for found in answer.objects
    ]
    if answer.words is not None:
        rows = [[round(float(weight), 5) for weight in row] for row in answer.weights_TC]
        result["attention"] = [{"word": word, "weights": row} for word, row in zip(answer.words, rows, strict=True)]
    return result
