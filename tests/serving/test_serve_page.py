"""The server's page in a real browser, against a small server that answers what a test wants.

The page's policy allows its own script only. A test's steps are one more script, whose hash is allowed too.
"""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import threading
from email import message_from_bytes
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import pytest
from PIL import Image

from mghft_export.stickers.views import join_views

PAGE = files("mghft_export.serving").joinpath("page.html").read_text(encoding="utf-8")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PHONE = (390, 844)

INFO = {
    "class_names": ["anger", "happiness", "<b>sad</b>"], "takes_no_text": True, "trained": True,
    "precision": "int8", "version": "a1b2c3", "warnings": [],
}  # fmt: skip
ANSWER = {
    "label": "happiness", "probabilities": {"anger": 0.04, "happiness": 0.9, "<b>sad</b>": 0.06},
    "version": "a1b2c3", "milliseconds": 12.34,
}  # fmt: skip

# What a test's steps may use. `steps` is replaced; what it returns is what the test sees.
DRIVER = """{
const broken = [];
addEventListener("securitypolicyviolation", event => broken.push(event.violatedDirective + " " + event.blockedURI));
addEventListener("error", event => broken.push(event.message));
addEventListener("unhandledrejection", event => broken.push(String(event.reason)));
const at = id => document.getElementById(id);
const words = id => at(id).textContent;
const all = chosen => [...document.querySelectorAll(chosen)];
const texts = chosen => all(chosen).map(element => element.textContent);
const shown = id => at(id).checkVisibility();
async function until(holds) {
  for (let turn = 0; turn < 400; turn++) {
    if (holds()) return;
    await new Promise(done => setTimeout(done, 10));
  }
  throw new Error("never: " + holds);
}
const type = (id, value) => { at(id).value = value; at(id).dispatchEvent(new Event("input", { bubbles: true })); };
const bytes = Uint8Array.from(atob("PNG"), letter => letter.charCodeAt(0));
const image = (name = "cat.png", kind = "image/png") => new File([bytes], name, { type: kind });
function carrying(file) { const held = new DataTransfer(); held.items.add(file); return held; }
function choose(file = image()) {
  at("image").files = carrying(file).files;
  at("image").dispatchEvent(new Event("change", { bubbles: true }));
}
const told = () => until(() => words("needed"));
async function classify() {
  at("send").click();
  await until(() => !words("summary").startsWith("Classifying") && (words("error") || texts("#bars li").length));
}
const steps = async () => { STEPS };
addEventListener("load", async () => {
  const kept = { value: null, problem: null };
  try { kept.value = await steps() ?? null; } catch (problem) { kept.problem = String(problem); }
  document.documentElement.dataset.kept = JSON.stringify({ ...kept, broken });
});
}"""


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")

    def run(*options):
        command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=True)

    return run


class Kept(HTMLParser):
    """What the steps left on the root element."""

    def __init__(self, dom):
        super().__init__()
        self.kept = None
        self.feed(dom)

    def handle_starttag(self, tag, attributes):
        self.kept = dict(attributes).get("data-kept", self.kept)


def hash_of(source):
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def policy(*more_scripts):
    (style,), (script,) = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL) for tag in ("style", "script")
    )
    scripts = " ".join(map(hash_of, [script, *more_scripts]))
    return (
        "default-src 'none'; img-src 'self' blob:; connect-src 'self'; "
        f"style-src {hash_of(style)}; script-src {scripts}"
    )


class Site:
    """A server with the page. It keeps each POST's headers and fields."""

    def __init__(self):
        self.info, self.predict = (200, {}, INFO), (200, {}, ANSWER)  # status, headers, body; None: hangs up
        self.token = None
        self.driver, self.posts = "", []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/":
                    page = PAGE.replace("<style>", f"<script>{site.driver}</script><style>", 1)
                    headers = {"Content-Type": "text/html", "Content-Security-Policy": policy(site.driver)}
                    self.send(200, headers, page.encode())
                elif self.path == "/frame":
                    size = f"width={PHONE[0]} height={PHONE[1]}"
                    self.send(
                        200, {"Content-Type": "text/html"}, f"<iframe {size} src='/'></iframe>".encode()
                    )
                elif self.path == "/info":
                    self.answer(site.info)
                else:
                    self.send(404, {}, b"")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                form = message_from_bytes(
                    f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body
                )
                fields = {
                    part.get_param("name", header="content-disposition"): (
                        part.get_filename(),
                        part.get_payload(decode=True),
                    )
                    for part in form.get_payload()
                }
                site.posts.append((self.path, self.headers["Authorization"], fields))
                self.answer(site.predict)

            def answer(self, wanted):
                if site.token and self.headers["Authorization"] != f"Bearer {site.token}":
                    wanted = (401, {}, {"error": "This server needs a token."})
                if wanted is None:
                    self.close_connection = True
                    return
                status, headers, body = wanted
                self.send(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())

            def send(self, status, headers, body):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


@pytest.fixture
def site(browser):
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()

    def do(steps):
        made.driver = DRIVER.replace("PNG", base64.b64encode(png()).decode()).replace("STEPS", steps)
        dom = browser("--virtual-time-budget=20000", "--dump-dom", made.url).stdout
        kept = json.loads(Kept(dom).kept or "null")
        assert kept is not None, "the steps did not end"
        assert (kept["broken"], kept["problem"]) == ([], None)
        return kept["value"]

    made.do = do
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (400, 300), "orange").save(buffer, "PNG")
    return buffer.getvalue()


def texts_sent(site):
    return [fields["text"][1].decode() if "text" in fields else None for _, _, fields in site.posts]


def test_the_bars_are_sorted_and_names_stay_text(site):
    seen = site.do("""
        await told(); choose(); await classify();
        const widths = all(".track div").map(bar => bar.getBoundingClientRect().width / bar.parentNode.clientWidth);
        return [texts(".name"), texts(".share"), texts(".top .name"), widths, words("summary"), words("times"),
                words("model"), all("b").length, words("error"), texts("#notices li")];
    """)
    names, shares, top, widths, summary, times, model, bold, error, notices = seen
    assert names == ["happiness", "<b>sad</b>", "anger"]
    assert shares == ["90.0 %", "6.0 %", "4.0 %"]
    assert top == ["happiness"]
    assert widths == pytest.approx([0.9, 0.06, 0.04], abs=0.01)
    assert summary == "happiness, 90.0 %"
    by_browser, rest = times.split("\n", 1)
    assert re.fullmatch(r"Time seen by the browser: \d+\.\d ms\.", by_browser)
    assert rest == "Time in the server: 12.3 ms.\nVersion: a1b2c3."
    assert "<b>sad</b>" in model
    assert (bold, error, notices) == (0, "", [])


def test_it_sends_the_image_and_no_text_if_there_is_none(site):
    site.do("await told(); choose(); type('text', ' \\n '); await classify()")
    assert site.posts == [("/predict", None, {"image": ("cat.png", png())})]


def test_it_sends_the_text(site):
    site.do("await told(); choose(); type('text', 'a café cat'); await classify()")
    assert texts_sent(site) == ["a café cat"]


def test_four_fields_become_the_text_that_join_views_makes(site):
    views = (
        "to  cheer\nup",
        "flat, the sticker's style",
        "a cat # #The Sticker’s style",
        "#the sticker's gestures",
    )
    site.do(f"""
        await told(); choose(); type("text", "not this");
        at("four").click();
        {json.dumps(views)}.forEach((view, place) => type(["intention", "style", "role", "gesture"][place], view));
        await classify();
        type("style", " "); type("gesture", "");
        at("bars").replaceChildren();
        await classify();
    """)
    assert texts_sent(site) == [
        join_views(views),
        "#The sticker's intention: to cheer up #The sticker's main role: a cat The Sticker’s style",
    ]


def test_ctrl_enter_classifies(site):
    site.do("""
        await told(); choose(); type("text", "hi");
        const key = { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true };
        at("text").dispatchEvent(new KeyboardEvent("keydown", key));
        await until(() => texts("#bars li").length);
    """)
    assert texts_sent(site) == ["hi"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((400, {}, {"error": "The image is <b>broken</b>."}), "The image is <b>broken</b>."),
        ((429, {"Retry-After": "3"}, {"error": "busy"}), "The server is busy. Try again in 3 s."),
        ((429, {}, b""), "The server is busy. Try again soon."),
        ((502, {}, b"<html>Bad gateway"), "The server answered with status 502."),
        ((200, {}, b"null"), "The server's answer cannot be read."),
        ((200, {}, {}), "The server's answer cannot be read."),
        (None, "The server does not answer."),
    ],
)
def test_a_failure_is_told_in_one_sentence(site, answer, sentence):
    site.predict = answer
    seen = site.do("""
        await told(); choose(); await classify();
        return [texts("[role=alert]"), texts("#bars li"), all("b").length, at("send").getAttribute("aria-disabled")];
    """)
    assert seen == [[sentence], [], 0, "false"]


def test_without_an_image_nothing_is_sent(site):
    assert site.do("await told(); await classify(); return words('error')") == "Choose a sticker first."
    assert site.posts == []


def test_it_asks_for_a_token_and_sends_it_from_then_on(site):
    site.token = "s3cret"
    seen = site.do("""
        await until(() => words("error"));
        const first = [words("error"), shown("locked"), at("token").type];
        choose(); type("token", "s3cret");
        at("token").dispatchEvent(new Event("change", { bubbles: true }));
        await told(); await classify();
        return [...first, texts(".top .name"), words("error"), sessionStorage.getItem("token")];
    """)
    assert seen == ["This server needs a token.", True, "password", ["happiness"], "", "s3cret"]
    assert [token for _, token, _ in site.posts] == ["Bearer s3cret"]


def test_an_open_server_shows_no_token_field(site):
    assert site.do("await told(); return shown('locked')") is False


def test_a_token_that_no_header_can_hold_is_told(site):
    error = site.do("await told(); choose(); type('token', 'é'); await classify(); return words('error')")
    assert error == "The token has a character that cannot be sent."


def test_a_required_text_is_asked_for(site):
    site.info = (200, {}, INFO | {"takes_no_text": False})
    seen = site.do("""
        await told(); choose(); await classify();
        return [words("needed"), words("error"), at("text").getAttribute("aria-required")];
    """)
    assert seen == ["The text is required.", "The text is required. Type or paste it.", "true"]
    assert site.posts == []


def test_random_weights_and_warnings_are_shown_as_text(site):
    site.info = (200, {}, INFO | {"trained": False, "warnings": ["int8 <img src=x> is slow here.", "Old."]})
    seen = site.do("await told(); return [texts('#notices li'), all('img').length]")
    random = "The weights are random: predictions are meaningless."
    assert seen == [[random, "int8 <img src=x> is slow here.", "Old."], 1]


def test_a_sticker_can_be_chosen_pasted_or_dropped(site):
    seen = site.do("""
        await told();
        const revoked = [], sources = [], names = [];
        const real = URL.revokeObjectURL;
        URL.revokeObjectURL = url => { revoked.push(url); real.call(URL, url); };
        const look = async () => {
          await until(() => at("preview").complete && at("preview").naturalWidth === 400);
          sources.push(at("preview").src); names.push(words("picked"));
        };
        const events = { bubbles: true, cancelable: true };
        choose(); await look();
        document.body.dispatchEvent(
          new ClipboardEvent("paste", { ...events, clipboardData: carrying(image("pasted.png")) }));
        await look();
        const drop = file => new DragEvent("drop", { ...events, dataTransfer: carrying(file) });
        const dropped = drop(image("dropped.png"));
        document.body.dispatchEvent(dropped);
        await look();
        const size = at("preview").getBoundingClientRect();
        document.body.dispatchEvent(drop(image("notes.txt", "text/plain")));
        return [names, revoked.join() === sources.slice(0, 2).join(), dropped.defaultPrevented,
                size.width, size.height, words("error"), words("picked")];
    """)
    names = ["cat.png", "pasted.png", "dropped.png"]
    assert seen == [names, True, True, 240, 180, "This file is not an image.", "dropped.png"]


def test_a_new_sticker_takes_the_old_ones_result_away(site):
    seen = site.do(
        "await told(); choose(); await classify(); choose(); return [texts('#bars li'), words('times')]"
    )
    assert seen == [[], ""]


def test_a_phone_shows_it_in_one_column_with_large_targets(site, browser):
    """A headless window has a least width above a phone's; a frame has none."""
    site.info = (200, {}, INFO | {"warnings": ["a-long-name-" * 30]})
    site.predict = (200, {}, ANSWER | {"version": "0123456789abcdef" * 4})
    measures = """
        await told(); choose(image("long-name-".repeat(30))); at("four").click(); await classify();
        at("locked").hidden = false;
        const height = chosen => Math.min(...all(chosen).map(part => part.getBoundingClientRect().height));
        const [form, result] = all("main > *").map(part => part.getBoundingClientRect());
        const seen = [innerWidth, document.documentElement.scrollWidth, result.top >= form.bottom,
          Math.min(height("button"), height(".toggle"), height("#fields textarea"), height("#token"), height("a"))];
        parent.document.documentElement.dataset.kept = JSON.stringify(seen);
    """
    site.driver = DRIVER.replace("PNG", base64.b64encode(png()).decode()).replace("STEPS", measures)
    dom = browser("--virtual-time-budget=20000", "--dump-dom", site.url + "frame").stdout
    had, needed, one_column, smallest = json.loads(Kept(dom).kept)
    assert (had, one_column) == (PHONE[0], True)
    assert needed <= had
    assert smallest >= 44


def test_every_field_has_a_label_and_nothing_comes_from_elsewhere(site):
    unlabelled = site.do(
        "await told(); return all('input, textarea').filter(part => !part.labels.length).length"
    )
    assert unlabelled == 0
    assert not re.search(r"https?://|\bon\w+=\"|style=\"|innerHTML", PAGE)


def test_the_policy_is_in_force(site):
    """Else the other tests would pass with a page that breaks it."""
    assert site.do("""
        const link = document.createElement("b"); document.body.append(link);
        link.setAttribute("style", "color: red");
        await until(() => broken.length);
        return broken.splice(0).map(line => line.split(" ")[0]);
    """) == ["style-src-attr"]
