"""Writes cases.json: small templates, and whole ones from templates/, with what Jinja makes of them.

The environment is set up as Hugging Face transformers sets it up for chat templates.
Needs jinja2 (written with 3.1.6). Usage: python3 make_cases.py
"""

import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

HERE = pathlib.Path(__file__).parent
NOW = 1765432100


class Generation(jinja2.ext.Extension):
    """{% generation %} blocks, passed through."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def strftime_now(pattern):
    return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(pattern)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


CONTEXT = {
    "name": "Ada", "n": 7, "neg": -7, "x": 2.5, "yes": True, "no": False, "nothing": None,
    "empty": "", "text": "Hello, World", "uni": "naïve 🦊 ß", "lines": "a\n  b\n\nc",
    "html": "<a href='x'>&\"</a>", "padded": "  pad \n",
    "list": [3, 1, 2], "words": ["pear", "Apple", "fig"], "mixed": [1, "two", None, True, 2.0],
    "map": {"b": 1, "a": {"c": [1, 2]}, "items": "shadow"},
    "people": [{"name": "Bo", "age": 3, "pet": {"kind": "cat"}},
               {"name": "al", "age": 30, "pet": {"kind": "dog"}}, {"name": "Cy", "age": 4}],
}


def small_cases():
    """(name of the group, template) pairs; each runs with CONTEXT."""
    group = ""
    for line in (HERE / "small_cases.txt").read_text(encoding="utf-8").split("\n"):
        if line.startswith("## "):
            group = line[3:]
        elif line:
            yield group, line.replace("⏎", "\n").replace("⇥", "\t")


def outcome(env, template, context):
    try:
        return {"output": env.from_string(template).render(**context)}
    except Exception as error:  # whatever Jinja or the template raises
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    env = environment()
    cases = []
    for group, template in small_cases():
        cases.append({"name": group, "template": template, "context": CONTEXT,
                      **outcome(env, template, CONTEXT)})
    chats = json.loads((HERE / "chats.json").read_text(encoding="utf-8"))
    for path in sorted((HERE / "templates").glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        for name, context in chats.items():
            cases.append({"name": f"{path.stem}/{name}", "template": template, "context": context,
                          **outcome(env, template, context)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    failed = sum("error" in case for case in cases)
    print(f"{len(cases)} cases, {failed} of them errors")


if __name__ == "__main__":
    main()
