"""alkit.campaign.domain: each rule, its reason, the user's own predicate, and a campaign that keeps them."""

import re

import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem, Crippen

from alkit.campaign import Campaign
from alkit.campaign.candidates import in_domain, refusals
from alkit.campaign.domain import Domain
from alkit.cli.app import main
from alkit.config import moving
from alkit.config.domain import DomainConfig
from alkit.config.loading import changes, check_config, load_config
from alkit.errors import ConfigError
from alkit.molecules.enumeration import seed_molecules
from alkit.reporting.terminal_tables import fates_table
from alkit.storage.ledger import Ledger

SEEDS = seed_molecules()[:400]


def domain(**rules) -> Domain:
    return Domain(check_config({"name": "x", "proposer": "pool", "domain": rules}).domain)


def mass(smiles: str) -> float:
    """g/mol, from ASE's atomic masses."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return float(Atoms([atom.GetAtomicNum() for atom in molecule.GetAtoms()]).get_masses().sum())


@pytest.mark.parametrize(
    ("rules", "smiles", "expected"),
    [
        ({"require": "[OX2H]"}, "CCO", None),
        ({"require": "[OX2H]"}, "CCN", ("missing_pattern", "[OX2H]")),
        ({"require": ["C", "[OX2H]"]}, "COC", ("missing_pattern", "[OX2H]")),
        ({"forbid": ["C#N", "[NX3]"]}, "CCN", ("forbidden_pattern", "[NX3]")),
        ({"forbid": ["C#N", "[NX3]"]}, "CC#N", ("forbidden_pattern", "C#N")),
        ({"forbid": "C#N"}, "CCO", None),
        ({"descriptors": {"MW": [None, 46.1]}}, "CCO", None),
        ({"descriptors": {"MW": [None, 46.0]}}, "CCO", ("outside_range", "MW 46.069 is above 46")),
        ({"descriptors": {"NumRotatableBonds": [1, None]}}, "CCO", ("outside_range", "NumRotatableBonds 0")),
        (
            {"elements": ["H", "C", "Se"], "descriptors": {"MaxPartialCharge": [-9, 9]}},
            "C[Se]C",
            ("outside_range", "MaxPartialCharge cannot be computed"),  # Gasteiger has no selenium
        ),
        ({"elements": ["H", "C"], "forbid": "O"}, "CCO", ("foreign_element", "O")),  # the cheap rule first
    ],
)
def test_each_rule_and_its_reason(rules, smiles, expected) -> None:
    outside = domain(**rules).outside(smiles)
    if expected is None:
        assert outside is None
    else:
        assert outside is not None
        assert outside[0] == expected[0]
        assert outside[1].startswith(expected[1])


@given(st.sampled_from(SEEDS), st.floats(15, 110), st.floats(-2, 2), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_molecule_is_in_where_every_rule_holds_by_itself(smiles, heaviest, least, ring) -> None:
    rules = {"descriptors": {"MW": [None, heaviest], "logP": [least, None]}}
    rules |= {"require" if ring else "forbid": "[R]"}
    molecule = Chem.MolFromSmiles(smiles)
    holds = (
        (molecule.GetRingInfo().NumRings() > 0) == ring
        and mass(smiles) <= heaviest
        and Crippen.MolLogP(molecule) >= least
    )
    if abs(mass(smiles) - heaviest) > 0.01:  # tables of masses differ in the third digit
        assert (domain(**rules).outside(smiles) is None) == holds


def test_rules_only_take_away() -> None:
    free, bound = domain(), domain(forbid="[#7]", descriptors={"SA_score": [None, 4.0]})
    kept = in_domain(SEEDS, bound)
    assert 0 < len(kept) < len(in_domain(SEEDS, free))
    assert set(kept) <= set(in_domain(SEEDS, free))
    assert not any("n" in smiles.casefold() for smiles in kept)


def test_sa_score_and_qed_are_those_of_rdkit() -> None:
    from rdkit.Chem.QED import qed
    from rdkit.Contrib.SA_Score.sascorer import calculateScore

    from alkit.descriptors import descriptor_names, descriptor_value

    for smiles in ("CCO", "CC(=O)Oc1ccccc1C(=O)O", "C1CC2CC1C2"):
        molecule = AllChem.MolFromSmiles(smiles)
        assert descriptor_value(smiles, "SA_score") == calculateScore(molecule)
        assert descriptor_value(smiles, "QED") == qed(molecule)
    assert descriptor_value("CC(=O)Oc1ccccc1C(=O)O", "SA_score") == pytest.approx(1.58, abs=0.01)  # published
    names = descriptor_names()
    assert len(set(names)) == len(names)
    assert {"MW", "TPSA", "NumHDonors"} <= set(names)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"require": ["OX2H"]}, r"'OX2H' is not a SMARTS .* put it in quotes: '\[OX2H\]'"),
        ({"forbid": [["NX3"]]}, r"\['NX3'\] is no SMARTS; YAML reads .*'\[NX3\]'"),
        ({"forbid": "C("}, r"'C\(' is not a SMARTS that RDKit can read"),
        ({"forbid": ""}, "'' is not a SMARTS"),
        ({"forbid": 3}, "3 is no list of SMARTS"),
        ({"descriptors": {"mw": [0, 1]}}, "no descriptor 'mw'; the nearest valid name is 'MW'"),
        ({"descriptors": {"SA": [0, 1]}}, "no descriptor 'SA'; the nearest valid name is 'SA_score'"),
        ({"descriptors": {"TSPA": [0, 1]}}, "the nearest valid name is 'TPSA'"),
        ({"descriptors": {"????": [0, 1]}}, "valid are MW, logP, QED, SA_score and RDKit's own names"),
        ({"descriptors": {"MW": 100}}, r"the range of MW is 100; give \[lowest, highest\]"),
        ({"descriptors": {"MW": [200, 100]}}, r"the range of MW is \[200, 100\], in which nothing lies"),
        ({"descriptors": {"MW": [None, None]}}, "the range of MW has no bound"),
        (
            {"descriptors": {"MW": ["light", None]}},
            "the range of MW has the bound 'light', which is no number",
        ),
        ({"descriptors": {"MW": [True, None]}}, "the range of MW has the bound True"),
        ({"descriptors": ["MW"]}, "is no mapping of names"),
        ({"allowed": "mine.allowed"}, r"as \./file\.py:function"),
    ],
)
def test_rules_that_cannot_be_are_a_sentence(rules, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        domain(**rules)
    assert "\n" not in str(caught.value)


def test_the_line_of_a_wrong_rule_is_named(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\nproposer: generator\ndomain:\n  forbid:\n  - 'C#N'\n  - 'C('\n")
    with pytest.raises(ConfigError, match=r"mine.yaml, line 4: domain.forbid: 'C\(' is not a SMARTS"):
        load_config(path)


# --- the user's own predicate ------------------------------------------------------------------------------
@pytest.fixture
def own(tmp_path):
    """A domain with the predicate of that source."""

    def make(body: str, name: str = "allowed") -> Domain:
        file = tmp_path / f"mine{len(list(tmp_path.glob('*.py')))}.py"
        file.write_text(body)
        return Domain(DomainConfig(allowed=f"{file}:{name}"))

    return make


def test_a_predicate_decides(own) -> None:
    rule = own("def allowed(smiles):\n    return 'N' not in smiles\n")
    assert rule.outside("CCO") is None
    assert rule.outside("CCN") == ("not_allowed", rule.config.predicate)
    assert (
        refusals(["CCN", "CCO", "CN", "C1"], rule)
        == f"2 not_allowed {rule.config.predicate}, 1 invalid_smiles"
    )


def test_a_predicate_sees_canonical_smiles_once(own, tmp_path) -> None:
    log = tmp_path / "asked.txt"
    rule = own(f"def allowed(smiles):\n    open({str(log)!r}, 'a').write(smiles + '\\n')\n    return True\n")
    assert in_domain(["OCC", "CCO", "C(C)O"], rule) == ["CCO"]
    assert log.read_text() == "CCO\n"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "def allowed(smiles):\n    return smiles.index('N')\n",
            r"failed on CCO: ValueError: substring not found",
        ),
        ("def allowed(smiles):\n    raise SystemExit(3)\n", "failed on CCO: SystemExit: 3"),
        ("def allowed(smiles):\n    pass\n", "returned NoneType for CCO; True or False is expected"),
        ("def allowed(smiles):\n    return 0.5\n", "returned float for CCO; True or False is expected"),
        ("def allowed():\n    return True\n", "failed on CCO: TypeError"),
        ("allowed = 3\n", "is of type int; a function of a SMILES"),
        ("def alowed(smiles):\n    return True\n", "has no 'allowed'; the nearest valid name is 'alowed'"),
        ("import nothing_of_that_name\n", "fails when it is loaded: ModuleNotFoundError"),
        (
            "answers = iter([True, False] * 9)\ndef allowed(smiles):\n    return next(answers)\n",
            "when asked again",
        ),
    ],
)
def test_a_predicate_that_fails_is_a_sentence(own, body, sentence) -> None:
    rule = own(body)
    with pytest.raises(ConfigError, match=sentence) as caught:
        rule.check(["CCO"])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_numpy_says_true_and_false_too(own) -> None:
    rule = own("import numpy as np\ndef allowed(smiles):\n    return np.bool_(len(smiles) < 3)\n")
    assert rule.outside("CC") is None
    assert rule.outside("CCO") is not None


# --- campaigns ---------------------------------------------------------------------------------------------
@pytest.fixture
def validate(write_config, capsys):
    """Run `alkit campaign validate`; returns the exit code and what it says, on one line."""

    def run(config: dict) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ending:
            main(["campaign", "validate", str(write_config(config))])
        return int(ending.value.code or 0), " ".join("".join(capsys.readouterr()).split())

    return run


def test_validate_says_what_the_domain_leaves(tiny, validate, tmp_path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def allowed(smiles):\n    return 'F' not in smiles\n")
    tiny["domain"] |= {"forbid": ["[#7]"], "descriptors": {"MW": [None, 75]}, "allowed": "./mine.py:allowed"}
    code, said = validate(tiny)
    assert code == 0
    assert re.search(r"domain: \d+ of the seeds; rejected: \d+ forbidden_pattern \[#7\]", said)
    assert "not_allowed mine.py:allowed" in said
    mine.write_text("def allowed(smiles):\n    return None\n")
    code, said = validate(tiny)
    assert code == 2
    assert "domain.allowed mine.py:allowed returned NoneType" in said
    tiny["domain"]["descriptors"]["MW"] = [None, 20]
    code, said = validate(tiny)
    assert code == 2
    assert "0 in the domain (rejected: " in said
    assert "widen the domain" in said
    assert not (tmp_path / "run").exists()


def test_a_campaign_holds_to_its_domain_whoever_proposes(tiny, write_config, tmp_path) -> None:
    """Start molecules, generator, evolution, a pool and a proposer of one's own."""
    (tmp_path / "mine.py").write_text(
        "def allowed(smiles):\n    return 'F' not in smiles\n"
        "def propose(n, context):\n    return ['CF', 'OCCF', 'CCCO', 'NCCO', 'CC(C)=O', 'CCCCC', 'OCCO']\n"
    )
    (tmp_path / "pool.smi").write_text("CCCF\nNCC=O\nCC(O)C\nCCC=O\nC#CCO\nCCCCC\n")
    tiny["domain"] |= {
        "forbid": ["[#7]"],
        "require": "[#8]",
        "descriptors": {"MW": [None, 75]},
        "allowed": "./mine.py:allowed",
    }
    tiny["start"] = {"training": 8, "validation": 5, "test": 5}
    tiny["proposer"] = {
        "kind": "mix",
        "parts": [
            {"kind": "custom", "name": "./mine.py:propose", "per_round": 10},
            {"kind": "pool", "file": str(tmp_path / "pool.smi")},
            {"kind": "evolution", "per_round": 40},
            tiny["proposer"] | {"per_round": 20},
        ],
    }
    Campaign(load_config(write_config(tiny))).run()
    ledger = Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True)
    judged = [c for c in ledger.candidates() if c.status not in ("proposed", "rejected")]
    for candidate in judged:
        molecule = Chem.MolFromSmiles(candidate.smiles)
        assert {atom.GetSymbol() for atom in molecule.GetAtoms()} <= {"C", "O"}
        assert molecule.HasSubstructMatch(Chem.MolFromSmarts("[#8]"))
        assert mass(candidate.smiles) <= 75
    reasons = {reason for _, status, reason, _ in ledger.reasons() if status == "rejected"}
    assert {"not_allowed mine.py:allowed", "forbidden_pattern [#7]", "missing_pattern [#8]"} <= reasons
    rows = [row for row in ledger.histories() if row["reason"] == "forbidden_pattern"]
    assert {row["detail"] for row in rows} == {"[#7]"}
    assert {row["origin"] for row in rows} >= {"custom", "pool"}
    origins = ledger.origins()
    assert {origins[c.id] for c in judged} >= {"start", "custom", "pool", "evolution", "generator"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "not_allowed mine.py:allowed" in page
    assert "without [#7]; MW ≤ 75; allowed by mine.py:allowed" in page
    assert "forbidden_pattern [#7]" in "".join(
        str(cell) for c in fates_table(ledger).columns for cell in c.cells
    )
    ledger.close()


def test_campaigns_of_earlier_revisions_go_on_without_the_new_keys() -> None:
    new = check_config({"name": "x", "proposer": "generator"}).as_dict()
    old = new | {"domain": {key: new["domain"][key] for key in ("elements", "max_heavy_atoms")}}
    assert changes(old, new) == []
    stricter = check_config({"name": "x", "proposer": "generator", "domain": {"forbid": "N"}}).as_dict()
    assert changes(old, stricter) == ["domain.forbid: [] -> ['N']"]


def test_a_moved_predicate_is_the_same_one(tmp_path) -> None:
    def config(folder):
        folder.mkdir()
        (folder / "mine.py").write_text("def allowed(smiles):\n    return True\n")
        path = folder / "c.yaml"
        path.write_text("name: x\nproposer: generator\ndomain: {allowed: './mine.py:allowed'}\n")
        return load_config(path)

    first, second = config(tmp_path / "a"), config(tmp_path / "b")
    assert first.domain.allowed != second.domain.allowed
    stored = moving.relative(first.as_dict(), first.base)
    assert stored["domain"]["allowed"] == "./mine.py:allowed"
    assert moving.changed(stored, first.base, moving.contents(first), second) == []
