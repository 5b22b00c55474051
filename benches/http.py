#!/usr/bin/env python3
"""What a check of a key costs over HTTP, in CPU of the server, beside a bare axum server in the same run.

  apt-get install wrk && python3 benches/http.py [--credentials 100000] [--seconds 5]

Builds both in release, starts them on loopback, and drives each with wrk over 16 connections. CPU per request is
the server's own process time divided by the requests answered: other load on the machine hardly disturbs it.
"""
import argparse, json, os, pathlib, re, subprocess, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


def built(*args):
    out = subprocess.run(["cargo", *args, "--release", "--message-format=json"], cwd=ROOT, check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return [m["executable"] for m in map(json.loads, out.splitlines())
            if m.get("reason") == "compiler-artifact" and m.get("executable")][-1]


def started(cmd):
    process = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def settled(pid):
    """Returns once the process is at rest: a large history is still being written to its snapshot when it is served."""
    before = -1
    while cpu_s(pid) - before > 0.05:
        before = cpu_s(pid)
        time.sleep(1)


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def drive(process, url, seconds, lua):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua)
        script.flush()
        best = None
        for _ in range(3):
            before = cpu_s(process.pid)
            out = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", script.name, url], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
            requests = int(re.search(r"(\d+) requests in", out)[1])
            if "Non-2xx" in out:
                raise SystemExit(out)
            cost = (cpu_s(process.pid) - before) / requests * 1e6
            rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
            best = min(best or (cost, rate), (cost, rate))
        return best


def call(base, token, path, body=None, key=None):
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    if key:
        headers["idempotency-key"] = f'"{key}"'
    data = json.dumps(body).encode() if body is not None else (b"" if key else None)
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers)) as answer:
        return json.load(answer)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--credentials", type=int, default=100_000)
    options.add_argument("--seconds", type=int, default=5)
    options = options.parse_args()
    hello, broker = built("bench", "--no-run", "--bench", "hello"), built("build", "--bin", "countersign")

    floor, floor_url = started([hello])
    start = time.monotonic()
    demo, line = started([broker, "demo", "--no-console", "--rate", "0", "--credentials", str(options.credentials)])
    up = time.monotonic() - start
    line = json.loads(line)
    base, token = line["address"], line["token"]
    client = next(c for c in call(base, token, "/v1/clients?limit=1000")["items"] if c["environment"] == "development")
    receipt = call(base, token, "/v1/requests", {
        "credential": "bench/validation", "environment": "development", "kind": "api_key", "client": client["id"],
        "audience": "https://bench.example", "scopes": ["orders:read"], "ttl_s": 3600, "reason": "bench"}, "ask")
    deadline = time.monotonic() + 10
    while call(base, token, f"/v1/requests/{receipt['subject']}")["row"]["state"] != "issued":
        assert time.monotonic() < deadline, "the key was not issued"
    key = call(base, token, f"/v1/requests/{receipt['subject']}/claim", None, "claim")["secret"]["token"]

    post = """wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer %s"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"token":"%s"}'
""" % (token, key)
    try:
        settled(demo.pid)
        # The floor before and after, so that a drift of the machine shows.
        first = drive(floor, floor_url, options.seconds, post)
        check = drive(demo, base + "/v1/introspect", options.seconds, post)
        last = drive(floor, floor_url, options.seconds, post)
    finally:
        resident = resident_mb(demo.pid)
        floor.kill()
        demo.terminate()
    h = (first[0] + last[0]) / 2
    print(f"bare axum, 200 bytes (H)            {h:6.1f} us CPU/request  {first[1]:8.0f} /s  (again: {last[0]:.1f})")
    print(f"introspection, {options.credentials:>9,} credentials {check[0]:6.1f} us CPU/request  {check[1]:8.0f} /s  "
          f"{check[0] / h:.2f} H")
    print(f"broker: history made and served in {up:.1f} s, resident {resident:.0f} MB "
          f"({resident * 1024 * 1024 / options.credentials:.0f} bytes a credential)")


if __name__ == "__main__":
    main()
