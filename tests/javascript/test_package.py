"""The JavaScript client as a package: its unit tests, its types, its version, and its installation."""

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
    """The tests of one file pass in Node's own test runner."""
    printed = succeed([program("node"), "--test", "--test-reporter=tap", name], TOOLS)

    assert "\n# fail 0\n" in printed
    assert "\n# pass 0\n" not in printed


@pytest.mark.slow
def test_types_and_format_are_correct(program: Callable[[str], str], tools: pathlib.Path) -> None:
    """Strict TypeScript finds no error in the client, and Prettier would change nothing."""
    succeed([program("npm"), "run", "check"], tools)


@pytest.mark.slow
def test_declarations_are_up_to_date(
    program: Callable[[str], str], tools: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The declarations that editors read are generated from the current code."""
    succeed([program("npx"), "tsc", "-p", "types.json", "--outDir", str(tmp_path)], tools)
    generated = {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()}
    shipped = {file.name: file.read_text("utf-8") for file in (PACKAGE / "types").iterdir()}

    assert generated
    assert shipped == generated, "run `npm run types` in tests/javascript"


def test_client_and_server_have_one_version() -> None:
    """Client and server have the same version."""
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))

    assert package["version"] == concurrent_log.__version__
    assert f'VERSION = "{concurrent_log.__version__}"' in (PACKAGE / "version.js").read_text("utf-8")


def test_package_has_no_dependencies() -> None:
    """Installing the package installs no other package."""
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))

    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & set(package)


def test_package_is_installed_from_its_folder(
    program: Callable[[str], str], shop: pathlib.Path, collector: Collector
) -> None:
    """`npm install` of the folder is enough: each entry point can be imported by name, and a record arrives."""
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


@pytest.mark.slow
def test_typescript_programs_are_checked(
    program: Callable[[str], str], shop: pathlib.Path, tools: pathlib.Path
) -> None:
    """A correct strict TypeScript program compiles, and the compiler finds wrong options and methods."""
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


@pytest.mark.slow
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
    """A program that esbuild has bundled into one file ends by itself, after sending its records."""
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


@pytest.mark.slow
def test_signal_exit_and_the_client_ignore_each_others_listeners(
    program: Callable[[str], str], tools: pathlib.Path, collector: Collector, tmp_path: pathlib.Path
) -> None:
    """signal-exit, which many packages depend on, and the client do not mistake each other for a signal handler."""
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
