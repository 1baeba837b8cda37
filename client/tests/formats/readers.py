"""The golden files, read by what others read such files with.

RIPE Atlas by ripe.atlas.sagan, csv by Python's own module, JSON lines and sequences of JSON as their formats have them, the
picture of a multipath trace by graphviz.
Run by scripts/check formats, in the Python environment that scripts/setup --test makes.
"""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

from ripe.atlas.sagan import Result
from ripe.atlas.sagan.base import ParsingDict

HERE = Path(__file__).parent
DOCUMENTS = sorted((HERE / "documents").glob("*.json"))
read = 0


def golden(document, form, extension):
    global read
    read += 1
    return (HERE / "golden" / f"{document.stem}.{form}.{extension}").read_text(encoding="utf-8")


def expect(wanted, found, what):
    if wanted != found:
        sys.exit(f"{what}: expected {wanted!r}, found {found!r}")


def paths(document):
    return [document[way] for way in ("forward", "reverse") if way in document]


def addresses(hop):
    return [probe["address"] if probe else None for probe in hop["probes"]]


def values(text):
    """JSON values one after another, as mtr prints them."""
    decoder, text, found = json.JSONDecoder(), text.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].lstrip()
    return found


def atlas(file, document):
    results = json.loads(golden(file, "atlas", "json"))
    expect(len(paths(document)), len(results), file)
    for path, raw in zip(paths(document), results):
        # A malformed result is an error; one that tells of an unreachable host is not.
        result = Result.get(raw, on_malformation=ParsingDict.ACTION_FAIL, on_error=ParsingDict.ACTION_IGNORE)
        expect("traceroute", result.type, file)
        expect(False, result.is_malformed, file)
        expect((path["from"], path["to"]), (result.source_address, result.destination_address), file)
        expect(path["protocol"].upper(), result.protocol, file)
        expect(6 if ":" in path["to"] else 4, result.af, file)
        expect([addresses(hop) for hop in path["hops"]], result.ip_path, file)
        for hop, found in zip(path["hops"], result.hops):
            expect(hop["ttl"], found.index, file)
            for probe, packet in zip(hop["probes"], found.packets):
                if probe is None:
                    expect(None, packet.rtt, file)
                    continue
                wanted = None if probe["rtt_ms"] is None else round(probe["rtt_ms"], 3)
                expect(wanted, packet.rtt, file)
                expect(probe.get("reply_ttl"), packet.ttl, file)
                labels = probe.get("mpls", [])
                stacks = [o["mpls"] for o in (packet.icmp_header.objects if packet.icmp_header else []) if "mpls" in o]
                expect([l["label"] for l in labels], [l["label"] for stack in stacks for l in stack], file)
        if path["reached"] and path["end"]["kind"] == "reached":
            expect(True, result.destination_ip_responded, file)
            expect(True, result.is_success, file)
        if path["end"]["kind"] == "unreachable":
            expect(["Administratively prohibited"] * 2 if path["hops"][-1]["probes"][0]["reply"]["code"] == 13 else [],
                   result.last_hop_errors, file)


def table(file, document):
    rows = list(csv.DictReader(golden(file, "csv", "csv").splitlines(keepends=True)))
    wanted = [
        (way, str(hop["ttl"]), address or "")
        for way in ("forward", "reverse") if way in document
        for hop in document[way]["hops"] for address in addresses(hop)
    ]
    expect(wanted, [(row["direction"], row["ttl"], row["address"]) for row in rows], file)
    for row in rows:
        expect(False, None in row or None in row.values(), f"{file}: a ragged row")


def scamper(file, document):
    lines = golden(file, "scamper", "jsonl").splitlines()
    expect(len(paths(document)), len(lines), file)
    for path, line in zip(paths(document), lines):
        trace = json.loads(line)
        expect("tracelb" if "multipath" in path else "trace", trace["type"], file)
        expect((path["from"], path["to"]), (trace["src"], trace["dst"]), file)
        if trace["type"] == "tracelb":
            expect(trace["nodec"], len(trace["nodes"]), file)
            expect(trace["linkc"], sum(node["linkc"] for node in trace["nodes"]), file)
            continue
        answered = [(hop["ttl"], a) for hop in path["hops"] for a in addresses(hop) if a]
        expect(answered, [(hop["probe_ttl"], hop["addr"]) for hop in trace["hops"]], file)


def reports(file, document):
    for form, hops in (("mtr", lambda r: r["report"]["hubs"]), ("trippy", lambda r: r["hops"])):
        found = values(golden(file, form, "json"))
        expect([len(path["hops"]) for path in paths(document)], [len(hops(report)) for report in found], file)


def hsanet(file, document):
    measurement = json.loads(golden(file, "hsanet", "json"))
    expect([way for way in ("forward", "reverse") if way in document], list(measurement["traces"]), file)
    for way, vertices in measurement["traces"].items():
        by_id = {vertex["id"]: vertex for vertex in vertices}
        expect(len(vertices), len(by_id), file)
        # From the first vertex on, all are reached.
        seen, todo = set(), [vertices[0]["id"]]
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo += by_id[at]["successors"]
        expect(set(by_id), seen, file)
        expect(document[way]["from"], vertices[0]["address"], file)


def picture(file):
    """Each node and each link of the text is in what graphviz draws of it."""
    text = file.read_text(encoding="utf-8")
    drawn = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=False)
    expect((0, ""), (drawn.returncode, drawn.stderr), file)
    words = [line.split(maxsplit=1)[0] for line in drawn.stdout.splitlines()]
    expect(len(re.findall(r"->", text)), words.count("edge"), f"{file}: links")
    expect(True, words.count("node") > 1, f"{file}: nodes")


for file in DOCUMENTS:
    document = json.loads(file.read_text(encoding="utf-8"))
    for check in (atlas, table, scamper, reports, hsanet):
        check(file, document)
expect(len(DOCUMENTS) * 6, read, "files read")
PICTURES = sorted((HERE.parent / "saved").glob("*.dot"))
expect(True, len(PICTURES) > 0, "pictures")
for file in PICTURES:
    picture(file)
print(f"{len(DOCUMENTS)} documents in {read} files, {len(PICTURES)} pictures: all read as they should be")
