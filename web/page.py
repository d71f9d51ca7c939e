"""The page and the endpoint of serve.py: a FastAPI application that contains Gradio's page.

The page loads nothing from other hosts (a content security policy forbids it). Only requests to this machine's own host
names are answered, which prevents DNS rebinding by foreign pages.
"""

import traceback

import fastapi
import gradio as gr
from gradio import processing_utils, utils
from starlette.middleware.trustedhost import TrustedHostMiddleware

from captioning.decode import DEFAULTS, Decoding
from evaluation.report import html_pages
from web import endpoint, page_guard, showing, turns, uploads

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "media-src 'self' data: blob:; frame-ancestors 'self'"
)
STYLE = """
.gradio-container { max-width: 1280px !important; }
.said { font-size: 1.35rem; line-height: 1.35; margin: .2rem 0 .6rem; }
.run { opacity: .65; font-size: .85rem; margin: 0; }
.refused { border-left: 4px solid #b3261e; background: #b3261e18; padding: .6rem .9rem; }
.hint { opacity: .7; }
.wide { overflow-x: auto; } .wide table { border-collapse: collapse; width: 100%; border: 0 !important; }
.wide th, .wide td { padding: .25rem .5rem; text-align: right; border: 0 !important; }
.wide tr { border: 0 !important; border-bottom: 1px solid #8884 !important; } .wide .left { text-align: left; }
footer { display: none !important; }
"""
SLIDERS = {  # setting of the decoding -> (lowest value, highest, step, label)
    "temperature": (0.1, 2, 0.1, "samples: temperature"),
    "top_k": (0, 100, 1, "samples: from the K most probable words, 0 = all"),
    "top_p": (0.05, 1, 0.05, "samples: from the words with this probability, 1 = all"),
    "sample_seed": (0, 100, 1, "samples: seed"),
    "min_length": (0, 20, 1, "minimum number of words"),
    "no_repeat_ngram": (0, 5, 1, "no n-gram twice, n; 0 = off"),
    "repetition_penalty": (1, 3, 0.1, "repetition penalty, 1 = off"),
    "consensus_weight": (0, 2000, 100, "weight of the fit to the predicted caption embedding, 0 = off"),
}
LISTED = 10  # captions of a beam that the page lists
FONTS = ["system-ui", "sans-serif"]
ANSWERS = html_pages.macros("web/answers.html")


def upload_field():
    """Returns a gr.Image that passes to event functions the path of the unchanged upload, None without a picture.

    Gradio does not decode the file; this program checks and reads it.
    """
    field = gr.Image(label="picture", sources=["upload", "clipboard"], elem_id="picture", buttons=[], height=280)
    field.preprocess = lambda payload: payload.path if payload else None
    return field


def example_field(examples, picture, register):
    """Returns a gallery of example pictures (gr.Dataset); a click copies one into the field `picture`.

    gr.Examples is not used, because a click on it would let Gradio read the file.

    Args: examples: list of paths of image files. picture: gr.Image. register: uploads.Register, to which the copy is
      added.
    """
    paths = [[path] for path in examples]
    field = gr.Dataset(
        components=[picture],
        samples=paths,
        samples_per_page=len(paths),
        type="index",
        label="examples",
        elem_id="examples",
    )

    def copy_of(number):
        path = processing_utils.save_file_to_cache(examples[number], register.folder)  # where Gradio would write it
        register.add_example(path)
        return path

    field.click(copy_of, field, picture, show_progress="hidden", api_visibility="private")
    return field


# --------------------------------------------------------------------------------------------------------------
# What is shown of an answer


def said(run, answer):
    """Returns HTML with the caption of a run, and a note if the run read the picture in another orientation than shown.

    Args: run: showing.Shown. answer: showing.Answer.
    """
    lies = showing.LIES_OTHERWISE if answer.lies_otherwise else ""
    return ANSWERS.said(run.name, answer.hypotheses[0].text, lies)


def n_best(answer):
    """Returns HTML: a table of the LISTED best captions with probabilities. Args: answer: showing.Answer."""
    lines = [["", "caption", "probability", "per word", "words"]]
    for rank, hypothesis in enumerate(answer.hypotheses[:LISTED], 1):
        whole, word = showing.chances(hypothesis)
        lines.append(
            [
                rank,
                hypothesis.text or "(no word)",
                f"{whole:.2g}",
                f"{word:.2f}",
                showing.words_with_chances(hypothesis),
            ]
        )
    return ANSWERS.n_best(lines)


def object_list(answer):
    """Returns HTML: a table of the detected objects, or why there are none. Args: answer: showing.Answer."""
    if answer.objects is None:
        return ANSWERS.hint(f"No objects: {answer.no_objects}.")
    if not answer.objects:
        return ANSWERS.hint("The detector found nothing.")
    lines = [["object", "score"]]
    lines += [[found.class_name, f"{found.score:.2f}"] for found in sorted(answer.objects, key=lambda o: -o.score)]
    return ANSWERS.objects(lines)


# --------------------------------------------------------------------------------------------------------------
# The page


def page(runs, examples, register, order):
    """Returns the Gradio page as gr.Blocks.

    Args: runs: list of one or two showing.Shown. examples: list of paths of image files, may be empty.
      register: uploads.Register of the files that the page may read. order: turns.Turns, the queue of the network.
    """
    own = runs[0].decode if len({run.decode for run in runs}) == 1 else Decoding()
    size = min(own.size, endpoint.MAX_BEAM) if own.method == "beam" else DEFAULTS["size"]
    with gr.Blocks(title="Captions", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.HTML(ANSWERS.title(), padding=False)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                picture = upload_field()
                if examples:
                    example_field(examples, picture, register)
                beam = gr.Slider(1, endpoint.MAX_BEAM, size, step=1, label="beam size", elem_id="beam")
                with gr.Accordion("decoding", open=False):
                    samples = gr.Slider(
                        0, endpoint.MAX_SAMPLES, 0, step=1, label="samples, 0 = beam search", elem_id="samples"
                    )
                    settings = [_slider(name, getattr(own, name), *range_) for name, range_ in SLIDERS.items()]
                min_score = gr.Slider(0, 1, 0.3, step=0.05, label="minimum detection score", elem_id="min_score")
                again = gr.Button("Caption", variant="primary", elem_id="caption")
            with gr.Column(scale=2, min_width=400):
                status = gr.HTML(ANSWERS.what_to_do(), elem_id="status")
                with gr.Row():
                    fields = [_column(run, number) for number, run in enumerate(runs, 1)]
                looked = [_looked(run, number) for number, run in enumerate(runs, 1) if run.looks]
        answers = gr.State(None)
        shown = [field for column in fields for field in column["answer"]] + looked
        maps = [column["map"] for column in fields]

        def caption(path, beam, min_score, samples, *settings):
            nothing = [*[None] * len(shown), None]
            if path is None:
                return [_status(ANSWERS.what_to_do()), *nothing]
            try:
                register.check(path)
                values = dict(zip(SLIDERS, settings, strict=True))
                decode = endpoint.decoding_of_fields(int(beam), int(samples), values)
                pixels, found = endpoint.answer_of(runs, path, decode, float(min_score), order)
            except uploads.Refused as refused:
                return [_status(ANSWERS.refused(refused.message)), *nothing]
            except Exception as error:  # the page keeps working, whatever fails in a network or a file
                traceback.print_exc()
                message = f"The server failed ({type(error).__name__}); its terminal says why."
                return [_status(ANSWERS.refused(message)), *nothing]
            shown_by = list(zip(runs, found, pixels, strict=True))
            values = [value for run, one, picture in shown_by for value in _filled(run, one, picture)]
            values += [showing.attention(picture, one) for run, one, picture in shown_by if run.looks]
            return [_status(""), *values, [one.hypotheses[:1] for one in found]]

        def draw_maps(found):
            drawn = [None] * len(runs)
            if found is not None:
                drawn = [showing.word_map(run, one) for run, one in zip(runs, found, strict=True)]
            return drawn[0] if len(drawn) == 1 else drawn

        event = {"concurrency_limit": 1, "concurrency_id": "network", "api_visibility": "private"}
        for trigger in (picture.change, again.click):
            trigger(caption, [picture, beam, min_score, samples, *settings], [status, *shown, answers], **event).then(
                draw_maps, answers, maps, show_progress="hidden", **event
            )
    return blocks.queue(max_size=turns.MAX_WAITING, api_open=False)


def events_of(blocks, register):
    """Returns the functions that check the values that a browser sends with an event of the page, such as a click.

    Args: blocks: gr.Blocks. register: uploads.Register.
    Returns: dict index of the event, as Gradio numbers it in `blocks.fns` (the request's `fn_index`) -> list of
      functions, one for each input field of the event, in order. Each takes the value that the browser has sent for its
      field, and returns the value to pass on to Gradio or raises uploads.Refused.
    Raises: TypeError for an input field that is not a gr.Image, gr.Slider, gr.Dataset or gr.State.
    """
    return {number: [_taken(field, register) for field in event.inputs] for number, event in blocks.fns.items()}


def _taken(field, register):
    """Returns the function that checks the value a browser sends for one input field.

    The function takes this value, and returns the value to pass on to Gradio or raises uploads.Refused.

    Args: field: gr.Image, gr.Slider, gr.Dataset or gr.State. register: uploads.Register.
    Raises: TypeError for another field.
    """

    def picture(value):
        if value is None:
            return None
        path = value.get("path") if isinstance(value, dict) else None
        register.check(path)
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def number(least, most, kinds):
        def take(value):
            if type(value) not in kinds or not least <= value <= most:
                raise uploads.Refused(f"A field of the page takes numbers from {least} to {most}.", 422)
            return value

        return take

    if isinstance(field, gr.Image):
        return picture
    if isinstance(field, gr.Slider):
        return number(field.minimum, field.maximum, (int, float))
    if isinstance(field, gr.Dataset):
        return number(0, len(field.samples) - 1, (int,))
    if isinstance(field, gr.State):
        return lambda value: None  # the state is kept by the server, not by the browser
    raise TypeError(f"expected an image, number or state field as input, found {type(field).__name__}")


def _slider(name, value, lowest, highest, step, label):
    """Returns the gr.Slider of a setting of the decoding.

    Args: name: of the setting. value: the first one shown, at most `highest`. The others: as in SLIDERS.
    """
    return gr.Slider(lowest, highest, min(value, highest), step=step, label=label, elem_id=name)


def _column(run, number):
    """Creates the output fields of one run.

    Args: run: showing.Shown. number: of the run, from 1, used in the ids of HTML elements.
    Returns: dict: "answer": list of four fields (caption, all captions, picture with boxes, table of objects), whose
      values `_filled` returns; "map": gr.Image of the word map.
    """
    with gr.Column(min_width=320):
        heading = gr.HTML(elem_id=f"said{number}")
        with gr.Tab("n-best"):
            best = gr.HTML(elem_id=f"nbest{number}")
        with gr.Tab("objects"):
            drawn = gr.Image(show_label=False, format="png", elem_id=f"objects{number}", interactive=False, buttons=[])
            listed = gr.HTML(elem_id=f"list{number}")
        with gr.Tab("word map"):
            drawn_map = _picture(f"map{number}")
    return {"answer": [heading, best, drawn, listed], "map": drawn_map}


def _looked(run, number):
    """Creates the section for the attention of one run, as wide as the columns of all runs; returns its gr.Image.

    Args: run: showing.Shown. number: of the run, from 1, used in the id of the HTML element.
    """
    with gr.Accordion(f"where {run.name} looked, word by word", open=True):
        return _picture(f"attention{number}")


def _status(content):
    """Returns the gr.HTML for the status line. Args: content: HTML; if it is "", the line is hidden."""
    return gr.HTML(content, visible=bool(content))


def _picture(elem_id):
    """Returns a gr.Image that only shows a picture. Args: elem_id: id of the HTML element."""
    return gr.Image(show_label=False, format="png", elem_id=elem_id, interactive=False, buttons=["fullscreen"])


def _filled(run, answer, pixels_HWC):
    """Returns the values of the fields that `_column` lists under "answer": list [HTML, HTML, PIL image or None, HTML].

    They are the caption, the table of all captions, the picture with boxes (None without a detector), and the
    table of objects.

    Args: run: showing.Shown. answer: showing.Answer. pixels_HWC: uint8, the picture.
    """
    drawn = None if answer.objects is None else showing.draw_objects(pixels_HWC, answer.objects)
    return [said(run, answer), n_best(answer), drawn, object_list(answer)]


# --------------------------------------------------------------------------------------------------------------
# The application


def application(runs, examples, folder):
    """Returns the FastAPI application: the page at /, the endpoint at /caption.

    Args: runs: list of one or two showing.Shown. examples: list of paths of image files, shown on the page; may be
      empty. folder: existing folder where the endpoint keeps an upload while it is processed.
    """
    register, order = uploads.Register(utils.get_upload_folder()), turns.Turns()
    blocks = page(runs, examples, register, order)
    app = fastapi.FastAPI(title="Captions", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.page = blocks
    app.add_middleware(page_guard.Guard, register=register, events=events_of(blocks, register), folder=register.folder)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    app.add_middleware(Policy)
    app.include_router(endpoint.router(runs, order, folder))
    theme = gr.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"])
    return gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=uploads.MAX_BYTES,
        ssr_mode=False,
        mcp_server=False,
        theme=theme,
        css=STYLE,
    )


class Policy:
    """ASGI middleware that adds the content security policy to every answer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def with_policy(message):
            if message["type"] == "http.response.start":
                message = message | {
                    "headers": [
                        *message.get("headers", []),
                        (b"content-security-policy", POLICY.encode()),
                        (b"x-content-type-options", b"nosniff"),
                        (b"referrer-policy", b"no-referrer"),
                    ]
                }
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)
