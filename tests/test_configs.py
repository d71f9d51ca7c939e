"""configs/: every setting belongs to its command; values are those of the former recipes.py and scripts/*.sh."""

import dataclasses
import itertools
import json
import pathlib
import re
import shutil

import pytest
from absl import flags

import aliases
import cli
import config
import experiments
from captioning.decode import parse_decode
from configs.flickr8k_coco_wide import BY_CONSENSUS
from evaluation.results import tables
from tests.scripts import dry_run
from training.run_directory import RunDirectory
from web import endpoint

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The settings of each command before configs/, from recipes.py and the scripts: those that differ from the defaults.
BEFORE = json.loads((ROOT / "tests" / "fixtures" / "settings_before_configs.json").read_text())
STAGES = {  # of DATA -> the command
    stage: f"{folder}.{stage}"
    for folder, stages in {
        "preprocessing": "classifier_words crawl_descriptions detect_objects extract_descriptions extract_features "
        "import_features label_hypernyms make_miniature process_descriptions process_images train_captions",
        "initialization": "assign_captions choose_captions gen_obj2sen_caption predict_caption_embeddings "
        "retrieve_captions",
        "evaluation": "untrained",
    }.items()
    for stage in stages.split()
}
READ_PHOTOGRAPHS = ("detect_objects", "process_images")
TRAINERS = (
    "train initialization.obj2sen initialization.im_caption initialization.sentence_ae initialization.sentence_gan "
    "baselines.r2m baselines.show_tell baselines.show_attend_tell"
).split()


@pytest.fixture(scope="module")
def handed_over():
    """A function module -> (options class, recipes) that the module passes to cli.run."""
    found = {}

    def of(module):
        if module not in found:
            found[module] = (*dry_run.handed_over(module)[1:], None)[:2]
        return found[module]

    return of


def changed(options):
    """Returns the settings that differ from their defaults, as JSON values."""
    base = type(options)()
    names = [item.name for item in dataclasses.fields(options) if item.name != "recipe"]
    return json.loads(
        json.dumps({name: getattr(options, name) for name in names if getattr(options, name) != getattr(base, name)})
    )


# --------------------------------------------------------------------------------------------------------------
# Every experiment


@pytest.mark.parametrize("name", experiments.names())
def test_an_experiment_says_what_it_is(name):
    module = experiments.load(name)
    for heading in ("Task|Task, data", "Data|Task, data", "Cost", "Commands?", "Expected"):
        assert re.search(rf"^({heading}):\s", module.__doc__, re.M), heading


@pytest.mark.parametrize("name", experiments.names())
def test_settings_are_those_of_their_commands(name, handed_over, monkeypatch):
    monkeypatch.setenv("UIC_REALDATA", "REAL")
    module = experiments.load(name)
    for key in module.DATA:
        stage, _, variant = key.partition("/")
        arguments = [f"--recipe={name}{'/' * bool(variant)}{variant}", "--data_dir=D"]
        options = cli.parse(handed_over(STAGES[stage])[0], arguments, handed_over(STAGES[stage])[1])
        given = {k: v for k, v in module.DATA[key].items() if not isinstance(v, str)}
        assert {k: getattr(options, k) for k in given} == given and options.data_dir == "D"
        assert "${" not in str(dataclasses.asdict(options))
    classes = {handed_over(trainer)[0] for trainer in TRAINERS}
    for row, settings in module.ROWS.items():
        assert type(settings) in classes and settings.recipe is None
        options = cli.parse(type(settings), [f"--recipe={name}/{row}", "--max_steps=7"], experiments.Rows())
        assert (options.recipe, options.max_steps) == (f"{name}/{row}", 7)
        assert "${" not in str(dataclasses.asdict(options))


@pytest.mark.parametrize(
    "name", [name for name in experiments.names() if "\n    python" in experiments.load(name).__doc__]
)
def test_the_commands_of_an_experiment_pass_their_parsers(name, handed_over, tmp_path, monkeypatch):
    monkeypatch.setenv("UIC_REALDATA", "REAL")
    lines = re.findall(r"^    (?! )(.*)$", experiments.load(name).__doc__, re.M)
    found = dry_run.commands(tmp_path, "\n".join(line for line in lines if not line.startswith("scripts/")) + "\n")
    for module, arguments in map(dry_run.split, found):
        options_class, recipes = handed_over(module)
        cli.parse(options_class, arguments, recipes)
    assert len(found) == sum(line.startswith("python") for line in lines)


def test_every_data_stage_and_trainer_takes_recipes(handed_over):
    for stage, module in STAGES.items():
        assert handed_over(module)[1] == experiments.Stage(stage)
    for module in TRAINERS:
        assert handed_over(module)[1] == experiments.Rows()


# --------------------------------------------------------------------------------------------------------------
# One recipe


def parsed(*arguments):
    return cli.parse(config.FullModel, arguments, experiments.Rows())


def test_a_flag_overrides_the_recipe():
    options = parsed("--gen_lr=0.5", "--recipe=miniature/scratch", "--nostandardise")
    assert (options.gen_lr, options.dis_lr, options.standardise) == (0.5, 3e-4, False)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("none", "--recipe none: no such experiment in configs/; expected one of .*miniature"),
        ("none/full", "--recipe none/full: no such experiment"),
        ("os/path", "no such experiment"),
        ("miniature", "--recipe miniature: expected EXPERIMENT/ROW; rows of miniature with settings FullModel: full, "),
        ("miniature/none", "--recipe miniature/none: expected EXPERIMENT/ROW; rows of .*: full, .*chain_im$"),
        ("miniature/feat2sen", "rows of miniature with settings FullModel: full, "),
        ("attention_tutorial/full", "rows of attention_tutorial with settings FullModel: none"),
    ],
)
def test_a_recipe_that_is_not_there(recipe, message):
    with pytest.raises(cli.UserError, match=message):
        parsed(f"--recipe={recipe}")


def test_a_stage_that_an_experiment_does_not_have(handed_over):
    options_class, recipes = handed_over("preprocessing.make_miniature")
    with pytest.raises(cli.UserError, match=r"no settings of make_miniature in configs/flickr8k_coco.py; it has: "):
        cli.parse(options_class, ["--recipe=flickr8k_coco"], recipes)
    with pytest.raises(cli.UserError, match="no settings of make_miniature/cells in"):
        cli.parse(options_class, ["--recipe=miniature/cells"], recipes)


def test_an_experiment_of_ones_own(tmp_path, handed_over, monkeypatch):
    """The example of docs/extending.md, put into configs/."""
    import configs

    shutil.copy(ROOT / "docs" / "examples" / "my_experiment.py", tmp_path)
    monkeypatch.setattr(configs, "__path__", [*configs.__path__, str(tmp_path)])
    options_class, recipes = handed_over("preprocessing.process_descriptions")
    options = cli.parse(options_class, ["--recipe=my_experiment", "--data_dir=D"], recipes)
    assert (options.min_word_count, options.new_dict, options.class_names) == (3, True, "D/raw/classes.txt")
    assert parsed("--recipe=my_experiment/full").w_obj == 20.0
    assert parsed("--recipe=my_experiment/scratch") == dataclasses.replace(
        parsed("--recipe=miniature/scratch"), recipe="my_experiment/scratch"
    )


def test_names_in_texts(handed_over, monkeypatch):
    options_class, recipes = handed_over("preprocessing.extract_descriptions")
    monkeypatch.delenv("UIC_REALDATA", raising=False)
    with pytest.raises(cli.UserError, match=r"below \$UIC_REALDATA, which is not set; .*export UIC_REALDATA=DIR"):
        cli.parse(options_class, ["--recipe=flickr8k_coco"], recipes)
    given = cli.parse(options_class, ["--recipe=flickr8k_coco", "--input=${HOME}/x"], recipes)
    assert given.input == "${HOME}/x" and given.min_tokens == 5, "what the shell did not expand stays"
    monkeypatch.setenv("UIC_REALDATA", "/real")
    options = cli.parse(options_class, ["--recipe=flickr8k_coco"], recipes)
    assert options.input == "/real/corpora/coco_val2017_sentences.txt"
    arguments = ["--recipe=flickr8k_flickr30k/feat2sen", "--job_dir=runs/x/feat2sen/"]
    assert cli.parse(config.ImageCaption, arguments, experiments.Rows()).o2s_ckpt == "runs/x/obj2sen/ckpt-12000"


def test_help_lists_the_experiments(handed_over):
    for module in ("train", "preprocessing.process_images"):
        options_class, recipes = handed_over(module)
        values = flags.FlagValues()
        cli._define_flags(options_class, values, recipes)
        assert all(name in values["recipe"].help for name in experiments.names())


# --------------------------------------------------------------------------------------------------------------
# Nothing changed by the move


@pytest.mark.parametrize("name", BEFORE["recipes"])
def test_an_old_name_gives_what_it_gave(name, handed_over, capsys):
    before = BEFORE["recipes"][name]
    (settings_class,) = (c for c in map(handed_over, TRAINERS) if c[0].__name__ == before["class"])
    options = cli.parse(settings_class[0], [f"--recipe={name}"], experiments.Rows())
    assert changed(options) == aliases.current_settings(before["settings"])
    now = aliases.RECIPES[name]
    now = now if isinstance(now, str) else now[0]
    assert options.recipe == now
    assert capsys.readouterr().err.count(f"NOTE: --recipe {name} is an old name; now written --recipe {now}") == 1


@pytest.mark.parametrize("name", BEFORE["recipes"])
def test_a_run_of_an_old_name_goes_on(name, handed_over, tmp_path, monkeypatch):
    """It continues under its old and its present name; the supervised rows name their captions as before."""
    monkeypatch.setenv("UIC_REALDATA", "REAL")
    settings_class = next(c[0] for c in map(handed_over, TRAINERS) if c[0].__name__ == BEFORE["recipes"][name]["class"])
    folders = [f"--job_dir={tmp_path}", "--data_dir=D"]
    begun = cli.parse(settings_class, [f"--recipe={name}", *folders], experiments.Rows())
    RunDirectory(dataclasses.replace(begun, recipe=name), {}).close()
    captions = [f"--captions={begun.captions}"] if hasattr(begun, "captions") else []
    for recipe in (name, begun.recipe):
        options = cli.parse(settings_class, [f"--recipe={recipe}", *folders, *captions], experiments.Rows())
        RunDirectory(options, {}).close()
        assert json.loads((tmp_path / "config.json").read_text())["settings"]["recipe"] == begun.recipe


def test_the_table_of_old_names_is_whole():
    assert set(aliases.RECIPES) == set(BEFORE["recipes"])


def test_scripts_recipes_and_tables_decode_alike_by_consensus_with_beams_of_the_page():
    assert tables.BY_CONSENSUS == BY_CONSENSUS
    assert max(parse_decode(decode).size for decode in BY_CONSENSUS.values()) == endpoint.MAX_BEAM
    script = (pathlib.Path(__file__).parents[1] / "scripts" / "flickr8k.sh").read_text()
    assert re.findall(r"by_consensus=(\S+)", script) == [BY_CONSENSUS["flickr30k"], BY_CONSENSUS["coco"]]


@pytest.mark.parametrize("case", BEFORE["scripts"])
def test_scripts_give_their_commands_what_they_gave(case, tmp_path, handed_over, monkeypatch):
    """Each command's parser accepts its flags, with the settings of the former script; only the seed is given there."""
    real = tmp_path / "real"
    for folder in ("corpora", "flickr8k", "models"):
        (real / folder).mkdir(parents=True)
    monkeypatch.setenv("UIC_REALDATA", str(real))
    (tmp_path / "tree").mkdir()
    now = " --eyes ssd --only con2sen,feat2sen,full,scratch,r2m" if case.startswith("flickr8k.sh") else ""
    commands = [dry_run.split(command) for command in dry_run.commands(tmp_path / "tree", *(case + now).split())]
    assert commands[-2][0] == "evaluation.results" or "supervised" not in case
    later = {"evaluation.results"} | ({"eval_test"} if case.startswith("supervised.sh miniature") else set())
    before = json.loads(json.dumps(BEFORE["scripts"][case]).replace("${UIC_REALDATA}", str(real)))
    before = [(aliases.MODULES.get(module, module), settings) for module, settings in before]
    if case.startswith("demo.sh"):  # today its rows have another order, and the page is written after each
        later |= {"caption", "evaluation.report"}
        before = [command for command in before if command[0] not in later]
        before = sorted(before, key=lambda command: command[1].get("job_dir", ""))
        commands = sorted(commands, key=lambda command: dict(itertools.pairwise(command[1])).get("--job_dir", ""))
    commands = [command for command in commands if command[0] not in later and "--steps" not in command[1]]
    assert [module for module, _ in commands] == [module for module, _ in before]
    for (module, arguments), (_, settings) in zip(commands, before, strict=True):
        options_class, recipes = handed_over(module)
        found = changed(cli.parse(options_class, arguments, recipes))
        if (now or "supervised" in case) and module in ("eval_val", "initialization.eval_obj2sen"):  # further seeds
            assert found.pop("table").endswith("/table.json")
        if "reproduce" in case:  # a later setting: the authors' programs do not apply the EXIF orientation
            assert found.pop("exif", None) is (False if module.endswith(READ_PHOTOGRAPHS) else None)
        assert found == aliases.current_settings(settings), module
        numbers = [flag for flag, text in itertools.pairwise(arguments) if re.fullmatch(r"[-+.e\d]+", text)]
        assert set(numbers) <= {"--seed"}, module
