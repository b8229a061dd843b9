"""The JavaScript client as a package: what its own tests say, its types, its versions, and how it is installed."""

import json
import os
import pathlib
import shutil
import signal
from collections.abc import Callable

import pytest

import concurrent_log
from support.fake_collector import Collector
from support.node import PACKAGE, TOOLS, Node, run, succeed

UNITS = sorted(file.name for file in TOOLS.glob("*.test.js"))


@pytest.mark.parametrize("name", UNITS)
def test_unit(program: Callable[[str], str], name: str) -> None:
    """What Node's own test runner finds true of one file."""
    printed = succeed([program("node"), "--test", "--test-reporter=tap", name], TOOLS)

    assert "\n# fail 0\n" in printed
    assert "\n# pass 0\n" not in printed


def test_types_are_right(program: Callable[[str], str], tools: pathlib.Path) -> None:
    """TypeScript, at its strictest, finds nothing in the client, and Prettier would write it as it is."""
    succeed([program("npm"), "run", "check"], tools)


def test_declarations_are_those_of_the_code(
    program: Callable[[str], str], tools: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The declarations that editors read were made of the code as it is now."""
    succeed([program("npx"), "tsc", "-p", "types.json", "--outDir", str(tmp_path)], tools)
    made = {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()}
    shipped = {file.name: file.read_text("utf-8") for file in (PACKAGE / "types").iterdir()}

    assert made
    assert shipped == made, "run `npm run types` in tests/javascript"


def test_versions_are_one() -> None:
    """Client and server say the same version."""
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))

    assert package["version"] == concurrent_log.__version__
    assert f'VERSION = "{concurrent_log.__version__}"' in (PACKAGE / "version.js").read_text("utf-8")


def test_nothing_is_depended_on() -> None:
    """The package brings nobody else's code along."""
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))

    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & set(package)


def test_package_is_installed_from_its_folder(
    program: Callable[[str], str], shop: pathlib.Path, collector: Collector
) -> None:
    """`npm install` of the folder is enough: each entry can be imported by name, and a record arrives."""
    installed = {file.name for file in (shop / "node_modules" / "concurrent-log").iterdir()}
    (shop / "main.js").write_text(
        f"""
        import {{ createLogClient }} from "concurrent-log";
        import {{ WebWorkerLogClient }} from "concurrent-log/browser";
        import {{ WorkerThreadsLogClient }} from "concurrent-log/node";
        const logger = createLogClient({collector.url!r});
        logger.info("installed");
        console.log(logger instanceof WorkerThreadsLogClient, typeof WebWorkerLogClient);
        """
    )
    printed = succeed([program("node"), "main.js"], shop)

    assert printed == "true function\n"
    assert collector.messages == ["installed"]
    assert {"package.json", "README.md", "node.js", "browser.js", "types"} <= installed


def test_typescript_knows_what_it_gets(program: Callable[[str], str], shop: pathlib.Path, tools: pathlib.Path) -> None:
    """A strict TypeScript program compiles, and a mistake in it is found."""
    (shop / "good.ts").write_text(
        """
        import { createLogClient, type Options } from "concurrent-log";
        const options: Options = { service: "shop", batchSize: 10 };
        const logger = createLogClient("http://localhost:8000", options);
        logger.info("x", { a: 1 });
        const step = logger.with({ b: 2 }).withTrace(undefined);
        const header: string = step.headers.traceparent;
        const done: Promise<boolean> = logger.flush();
        const waiting: number = logger.stats().queued;
        export { header, done, waiting };
        """
    )
    (shop / "bad.ts").write_text(
        'import { createLogClient } from "concurrent-log";\n'
        'createLogClient("http://x", { batchSiz: 10 });\n'
        'createLogClient("http://x").inform("x");\n'
    )
    tsc = os.fspath(tools / "node_modules" / ".bin" / "tsc")
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"]
    good = run([tsc, *options, "good.ts"], shop)
    bad = run([tsc, *options, "bad.ts"], shop)

    assert good.returncode == 0, good.stdout
    assert "batchSiz" in bad.stdout
    assert "inform" in bad.stdout


@pytest.mark.parametrize("format_", ["esm", "cjs"])
@pytest.mark.parametrize("more", [(), ("--minify",), ("--keep-names", "--minify"), ("--target=node12",)], ids=str)
def test_bundle_for_node_works(
    program: Callable[[str], str],
    shop: pathlib.Path,
    tools: pathlib.Path,
    collector: Collector,
    format_: str,
    more: tuple[str, ...],
) -> None:
    """A program that esbuild has put into one file ends by itself, with its records sent."""
    (shop / "main.js").write_text(
        f"""
        import {{ createLogClient }} from "concurrent-log";
        const logger = createLogClient({collector.url!r});
        for (let i = 0; i < 500; i++) logger.info(`record ${{i}}`);
        """
    )
    esbuild = os.fspath(tools / "node_modules" / ".bin" / "esbuild")
    bundled = shop / f"bundled.{'mjs' if format_ == 'esm' else 'cjs'}"
    options = ["--bundle", "--platform=node", f"--format={format_}", f"--outfile={bundled}", "--log-level=error"]
    succeed([esbuild, "main.js", *options, *more], shop)
    shutil.rmtree(shop / "node_modules")
    succeed([program("node"), str(bundled)], shop)

    assert collector.messages == [f"record {number}" for number in range(500)]


def test_library_that_waits_for_the_exit_leaves_signals_to_the_client(
    program: Callable[[str], str], tools: pathlib.Path, collector: Collector, tmp_path: pathlib.Path
) -> None:
    """With signal-exit, which many packages bring, each does not take the other for somebody who handles a signal."""
    text = f"""
        import {{ onExit }} from "{(tools / "node_modules" / "signal-exit" / "dist" / "mjs" / "index.js").as_uri()}";
        logger.info("last words");
        onExit(() => console.log("cleaned up"));
        console.log("ready");
        setInterval(() => {{}}, 1000);
    """
    with Node(program("node"), tmp_path).start(collector.url, text, "{ flushInterval: 60000 }") as started:
        assert started.line() == "ready"
        started.process.send_signal(signal.SIGTERM)
        ended = started.ended()

    assert (ended.status, ended.stdout) == (-signal.SIGTERM, "cleaned up\n")
    assert collector.messages == ["last words"]
