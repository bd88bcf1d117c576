"""Malformed campaign files, and files beside them."""

import json
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import place_files
from malformed.cases import Case
from malformed.databases import bad_databases
from malformed.samples import samples
from malformed.tables import bad_smiles

_TEXTS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
_WHOLE = st.sampled_from(
    [-1, -(10**25), 1.5, float("nan"), float("inf"), "many", True, [1], {"a": 1}, "", "1_"]
)
_REAL = st.sampled_from(
    [-1.0, -1e300, float("nan"), float("-inf"), "many", True, [1.0], {"a": 1}, "", "1.0.0"]
)
_CHOICE = _TEXTS.map(lambda text: f"no {text}") | st.sampled_from([7.5, [1], {"a": 1}, True, ""])
_SECTION = st.sampled_from([7, [1], "text", 1.5, True, [[]], ["a", "b"]])
_KEYS: dict[str, SearchStrategy[Any]] = {
    **dict.fromkeys(("seed", "batch_size", "domain.max_heavy_atoms", "stop.rounds", "stop.labels"), _WHOLE),
    **dict.fromkeys(("start.training", "start.validation", "start.test", "surrogate.members"), _WHOLE),
    **dict.fromkeys(
        ("surrogate.features", "surrogate.epochs", "surrogate.gaussians", "stop.plateau"), _WHOLE
    ),
    **dict.fromkeys(("proposer.per_round", "proposer.steps", "proposer.adversarial_steps"), _WHOLE),
    **dict.fromkeys(("simulator.workers", "simulator.labels_per_worker"), _WHOLE),
    **dict.fromkeys(("surrogate.lr", "surrogate.cutoff", "surrogate.weight_decay", "surrogate.ema"), _REAL),
    **dict.fromkeys(("proposer.steering", "proposer.replay", "simulator.timeout", "stop.hours"), _REAL),
    **dict.fromkeys(("target", "surrogate.mode", "surrogate.geometry", "surrogate.learning"), _CHOICE),
    **dict.fromkeys(("surrogate.device", "surrogate.precision", "proposer.kind", "acquisition"), _CHOICE),
    **dict.fromkeys(("domain", "start", "surrogate", "stop", "tracking"), _SECTION),
    "proposer": _SECTION.filter(lambda value: value != "generator"),
    "simulator": _SECTION,
    "domain.elements": st.sampled_from([[], ["Qq"], ["C", "C"], "C", [6], {"C": 1}, None, ["X"], [["C"]]]),
    "name": st.sampled_from(
        ["", "a/b", "../up", ".hidden", "a b", 7, ["a"], "a\0b", "\u202e", "-x", None, "é"]
    ),
    "folder": st.sampled_from([7, ["a"], {"a": 1}, "a\0b", True]),
    "seeds": st.sampled_from(
        [7, ["a"], "absent.smi", "a\0b", "campaign.yaml/x", "x" * 300, ".", "", "/dev/null/a"]
    ),
    "dataset": st.sampled_from([7, ["a"], "absent.db", "a\0b", "campaign.yaml/x", "x" * 300, ".", ""]),
    "surrogate.uncertainty": st.sampled_from([[], "gp", ["gap"], 7, {"gp": 1}, [7], None]),
    "acquisition.name": st.sampled_from(
        ["./absent.py:score", "./campaign.yaml:x", "lcdm", 7, None, ["lcmd"], ":"]
    ),
    "acquisition.settings": st.sampled_from([7, ["a"], "text", {"no_such": 1}, None]),
    "simulator.kind": st.sampled_from(
        ["./absent.py:Simulator", "xbt", 7, None, ["xtb"], ":", "a.py:", "lookup"]
    ),
    "simulator.settings": st.sampled_from([7, ["a"], {"no_such": 1}, {"method": "DFT"}, {"method": [1]}]),
    "simulator.engine": _CHOICE,
    "simulator.cache": st.sampled_from([7, ["a"], {"a": 1}, "a\0b"]),
    "tracking.uri": st.sampled_from([7, ["a"], None, {"a": 1}]),
}
_QUICKSTART = {
    "name": "quickstart",
    "seed": 7,
    "target": "u0",
    "domain": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 7},
    "start": {"training": 80, "validation": 40, "test": 100},
    "proposer": {"kind": "generator", "per_round": 400, "steps": 500, "adversarial_steps": 40},
    "surrogate": {"mode": "3d", "geometry": "mmff", "members": 3, "features": 64},
    "acquisition": {"name": "lcmd"},
    "batch_size": 60,
    "simulator": {"kind": "xtb", "workers": 2, "timeout": 120},
    "stop": {"rounds": 3},
}
_QUICKSTART_TEXT = yaml.safe_dump(_QUICKSTART, sort_keys=False)
_NOT_YAML = (
    "name: [a\n",
    "name: 'a\n",
    "\tname: a\n",
    "name: a\n  seed: 1\n",
    "name: a: b\n",
    "- name: a\n",
    "{name: a",
    "name: &a\nseed: *b\n",
    "%YAML 9.9\n---\nname: a\n",
    "name: a\n---\nname: b\n",
    "name: !!python/object/apply:os.system ['touch executed']\n",
    "!!python/object/new:os.system ['touch executed']\n",
    "name: !!python/name:os.system\n",
    "name: a\nproposer: generator\nseed: !!int many\n",
    "name: a\nproposer: generator\nbatch_size: !!float x\n",
    "name: a\nproposer: generator\nseeds: !!binary '*'\n",
    "name: 2020-13-45\nproposer: generator\n",
    "name: 2020-01-01 99:99:99\nproposer: generator\n",
    f"name: a\nproposer: generator\nseed: {'9' * 5000}\n",
    "name: a\nproposer: generator\nseed: 0b\n",
    "name: a\nproposer: generator\nseed: 1:99:99999999\n",
    'name: "\\ud800"\nproposer: generator\n',
    'name: a\nproposer: "\\ud800"\n',
    "name: a\nproposer: generator\n? [1, 2]\n: 3\n",
    "name: a\nproposer: generator\n? {a: 1}\n: 3\n",
    "name: a\nproposer: generator\n1: 3\n",
    "name: a\nproposer: generator\nnull: 3\n",
    "name: a\nproposer: generator\nstart: {1: 3}\n",
    "name: a\nproposer: generator\n<<: 3\n",
    "name: a\nproposer: generator\nstop: &a {rounds: *a}\n",
    "name: a\nproposer: &a {kind: mix, parts: [*a]}\n",
    "&a [*a]\n",
    "&a name: *a\n",
    "name: a\nproposer: generator\nsimulator: &a {kind: xtb, settings: {a: *a}}\n",
    "name: a\nproposer: generator\nacquisition: &a {name: lcmd, settings: *a}\n",
    "text",
    "7",
    "null",
    "true",
    "[]",
    "{}",
)
_BAD_CODE = (
    b"def score(:",
    b"raise ValueError('no')",
    b"raise SystemExit(0)",
    b"x = 1",
    b"score = 7",
    b"import no_such_module",
    b"\xff\xfe",
    b"",
    b"def score(pool, context): return 1 / 0\nraise RuntimeError('two\\nlines')",
)


def _bomb_of_aliases(key: str, depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(["name: a", "proposer: generator", *lines, f"{key}: *a{depth - 1}", ""])


def _with(key: str, value: Any) -> str:
    found = json.loads(json.dumps(_QUICKSTART))
    *outer, last = key.split(".")
    place = found
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = value
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _bad_yaml() -> SearchStrategy[bytes]:
    lines = _QUICKSTART_TEXT.split("\n")
    keys = [number for number, line in enumerate(lines) if ":" in line]
    wrong = st.sampled_from(sorted(_KEYS)).flatmap(
        lambda key: _KEYS[key].map(lambda value: _with(key, value))
    )
    deep = st.sampled_from([200, 3_000])
    text = st.one_of(
        wrong,
        wrong,
        st.sampled_from(_NOT_YAML),
        st.builds(
            lambda section, key: _with(f"{section}{key}x", 1),
            st.sampled_from(["", "domain.", "start.", "surrogate.", "proposer.", "stop.", "simulator."]),
            _TEXTS,
        ),
        st.sampled_from(keys).map(lambda at: "\n".join([*lines[: at + 1], *lines[at:]])),  # twice
        st.sampled_from(keys[1:]).map(
            lambda at: "\n".join([*lines[:at], "   " + lines[at], *lines[at + 1 :]])
        ),
        st.sampled_from(keys).map(lambda at: "\n".join([*lines[:at], "\t" + lines[at], *lines[at + 1 :]])),
        st.sampled_from(["name", "proposer"]).map(
            lambda key: yaml.safe_dump({k: v for k, v in _QUICKSTART.items() if k != key})
        ),
        deep.map(lambda n: "name: a\nproposer: generator\nstart: " + "[" * n),
        deep.map(lambda n: "name: a\nproposer: generator\nstart: " + "[" * n + "]" * n),
        deep.map(lambda n: "name: a\nproposer: generator\nstart: " + "{a: " * n + "1" + "}" * n),
        st.builds(_bomb_of_aliases, st.sampled_from(["start", "name", "x"]), st.integers(2, 12)),
        st.text(st.sampled_from(" \n#"), max_size=9).map(lambda blank: f"{blank}\n# nothing\n"),
    )
    return st.one_of(
        text.map(lambda found: found.encode("utf-8", "surrogatepass")),
        st.sampled_from([b"", b"\0", b"\xff\xfe", _QUICKSTART_TEXT.encode("utf-16")]),
        st.integers(0, len(_QUICKSTART_TEXT)).map(
            lambda n: _QUICKSTART_TEXT[:n].encode() + b"\xe9\xff" + _QUICKSTART_TEXT[n:].encode()
        ),
        st.binary(max_size=100).map(lambda noise: b"\x80" + noise),
        st.sampled_from(["\x07", "\x1b[31m", "\x7f", "\0"]).map(
            lambda mark: _QUICKSTART_TEXT.replace("quickstart", f"a{mark}b").encode()
        ),
    )


def _bad_beside(command: str) -> SearchStrategy[Case]:
    """A campaign file that is right, and names a file that is not."""
    good = samples()

    def case(key: str, name: str, content: bytes | None, **more: Any) -> Case:
        small = {"training": 5, "validation": 5, "test": 5}  # what alkit enumerates by itself takes seconds
        answer = {"name": "x", "proposer": "generator", "start": small, "seeds": "seeds.smi", **more}
        text = yaml.safe_dump({k: v for k, v in answer.items() if v is not None})
        return Case(
            f"{key}: {content!r:.60}",
            ("campaign", command, "x.yaml"),
            {"x.yaml": text.encode(), "seeds.smi": good.smiles, name: content},
        )

    def pool(file: str) -> dict[str, Any]:
        return {"kind": "pool", "file": file}

    smiles = bad_smiles(good.smiles)
    return st.one_of(
        smiles.map(lambda bad: case("seeds", *bad, seeds=bad[0])),
        smiles.map(lambda bad: case("pool", *bad, proposer=pool(bad[0]))),
        bad_databases(good.database).map(
            lambda bad: case(
                "dataset", "a.db", bad, dataset="a.db", proposer="pool", simulator="lookup", seeds=None
            )
        ),
        st.sampled_from(_BAD_CODE).map(lambda code: case("code", "a.py", code, acquisition="./a.py:score")),
        st.sampled_from(_BAD_CODE).map(lambda code: case("code", "a.py", code, simulator="./a.py:score")),
        st.sampled_from([b"CCO", b"CCO\nCCN"]).map(lambda few: case("few", "a.smi", few, seeds="a.smi")),
        st.just(case("folder", "runs", b"a file")),
        st.just(case("folder", "runs/x/mine.txt", b"not a campaign's")),
        st.just(case("folder", "runs/x", b"a file")),
    )


def campaign_run() -> SearchStrategy[Case]:
    return _campaign_file("run") | _bad_beside("run")


def campaign_validate() -> SearchStrategy[Case]:
    return _campaign_file("validate") | _bad_beside("validate").filter(lambda case: "folder" not in case.what)


def _campaign_file(command: str) -> SearchStrategy[Case]:
    def arguments(name: str) -> tuple[str, ...]:
        return "campaign", command, name

    good = {"x.yaml": _QUICKSTART_TEXT.encode()}
    override = st.sampled_from(
        ["stop.rounds", "=", "stop.rounds=", "name=[", "a.b.c=1", "stop.rounds.x=1", "x=&a [*b"]
    )
    return st.one_of(
        _bad_yaml().map(lambda text: Case(f"{text!r:.80}", arguments("x.yaml"), {"x.yaml": text})),
        _bad_yaml().map(lambda text: Case(f"{text!r:.80}", arguments("x.yaml"), {"x.yaml": text})),
        place_files("x.yaml", arguments),
        override.map(lambda bad: Case(f"--set {bad}", (*arguments("x.yaml"), "--set", bad), good)),
    )
