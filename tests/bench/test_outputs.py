"""What the commands write: one measurement of the tiny bundle, in every form of output."""

import csv
import json
from html.parser import HTMLParser

import pytest

from mghft_export.bench.memory import attention_bytes, too_large
from mghft_export.bench.power import Ina3221Meter, find_rail, measure_energy
from mghft_export.bench.subjects import Subject
from mghft_export.cli.bench import bench
from mghft_export.cli.main import run
from mghft_export.config import MGHFTConfig

VOID = {"meta", "br", "img", "link"}


def test_json_has_numbers_reasons_and_provenance(measured):
    record = json.loads((measured / "r.json").read_text())
    assert [item["batch"] for item in record["comparisons"]] == [1, 2]
    cpu, *others = record["comparisons"][1]["rows"]
    assert cpu["name"] == "onnxruntime fp32"
    assert cpu["price"]["agreement"] == 1
    assert 0 < cpu["roofline_share"] < 1.5
    assert {row["name"] for row in others} == {"onnxruntime fp32 cuda", "onnxruntime fp32 tensorrt"}
    assert all(row["latency"] or row["failure"] for row in others)
    work = [item["work"]["vision"]["flops"] for item in record["comparisons"]]
    assert work[1] == 2 * work[0]
    assert set(record["provenance"]["graphs"]["fp32"]) == {"vision", "text", "fusion"}


def test_csv_and_markdown_have_every_row(measured):
    lines = list(csv.DictReader((measured / "r.csv").open()))
    assert len(lines) == 6
    assert float(lines[0]["median"]) > 0
    assert (measured / "r.md").read_text().count("| onnxruntime fp32 ") == 6


class Page(HTMLParser):
    """Counts tags, checks that they nest, and keeps what they refer to."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_and_loads_nothing(measured):
    text = (measured / "r.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.tags.count("svg") == 3  # latency against batch, and against accuracy for either batch
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in text
    assert 'name="viewport"' in text


def test_page_begins_with_bundle_machine_and_day(measured):
    record = json.loads((measured / "r.json").read_text())
    text = (measured / "r.html").read_text()
    top = text[: text.index("<figure>")]
    assert record["provenance"]["bundle"] in top
    assert record["machine"]["processor"] in top
    assert record["provenance"]["time"][:10] in top


def test_what_the_machine_lacks_is_one_line(measured, capsys):
    assert run(bench, ["report", str(measured / "r.json")]) == 0
    said = capsys.readouterr().out
    assert said.count("no GPU") == 1
    assert (measured / "r.html").read_text().count('class="note">no GPU') == 1


def test_report_shows_results_of_several_files(measured, tmp_path, capsys):
    first = str(measured / "r.json")
    assert run(bench, ["report", first, first, "--csv", str(tmp_path / "all.csv")]) == 0
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 13
    assert "onnxruntime fp32" in capsys.readouterr().out
    (tmp_path / "no.json").write_text("{}")
    assert run(bench, ["report", str(tmp_path / "no.json")]) == 2


def test_as_released_at_the_papers_size_says_what_fits():
    config = MGHFTConfig.paper()
    assert attention_bytes(config) == 4 * (12545**2 + 3 * 12545 * 197)
    subject = Subject(None, "as-released", "vision", 32, 1)
    reason = too_large(subject, config, 9 * 10**9)
    assert reason.startswith("as-released needs 21.1 GB for its attention maps at batch 32, 9.0 GB free")
    fits = int(reason.rpartition(" ")[2])
    assert too_large(Subject(None, "as-released", "vision", fits, 1), config, 9 * 10**9) is None
    assert too_large(Subject(None, "as-released", "vision", fits + 1, 1), config, 9 * 10**9) is not None
    assert too_large(Subject(None, "fused", "vision", 32, 1), config, 10**9) is None


def test_power_of_a_jetson_is_read_from_its_input_rail(tmp_path):
    monitor = tmp_path / "hwmon3"
    monitor.mkdir()
    for name, text in {
        "name": "ina3221",
        "in1_label": "VDD_IN",
        "in1_input": "5000",
        "curr1_input": "2000",
        "in2_label": "VDD_CPU_GPU_CV",
        "in2_input": "5000",
        "curr2_input": "700",
    }.items():
        (monitor / name).write_text(text + "\n")
    meter = find_rail(tmp_path)
    assert isinstance(meter, Ina3221Meter)
    energy = measure_energy(meter, lambda: None, 0.01, idle_seconds=0.01)
    assert energy.idle_watts == energy.mean_watts == pytest.approx(10)
    assert 0 < energy.joules_per_run < 10
