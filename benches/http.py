#!/usr/bin/env python3
"""What a check of a key costs over HTTP, in CPU of the server, beside a bare axum server in the same run.

  apt-get install wrk nginx-light && python3 benches/http.py [--credentials 1000000] [--seconds 5]

V1: the gateways' decision point; V2: introspection; V6: nginx asking the decision point, beside nginx asking an nginx
that answers 204; V7: the decision point with 10,000 credentials.

Builds both in release, starts them on loopback, and drives each with wrk over 16 connections. CPU per request is
the server's own process time divided by the requests answered: other load on the machine hardly disturbs it.
"""
import argparse, json, os, pathlib, re, socket, subprocess, tempfile, time, urllib.request

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


def pids(process):
    """The process and those that it started: nginx has a worker."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


def drive(processes, url, seconds, lua):
    processes = processes if isinstance(processes, list) else [processes]
    used = lambda: sum(cpu_s(pid) for process in processes for pid in pids(process))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua)
        script.flush()
        best = None
        for _ in range(3):
            before = used()
            out = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", script.name, url], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
            requests = int(re.search(r"(\d+) requests in", out)[1])
            if "Non-2xx" in out:
                raise SystemExit(out)
            cost = (used() - before) / requests * 1e6
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


NGINX = """daemon off; master_process off; pid %(folder)s/%(name)s.pid; error_log stderr;
events { worker_connections 512; }
http { access_log off; keepalive_requests 1000000000;
  client_body_temp_path %(folder)s/%(name)s.b; proxy_temp_path %(folder)s/%(name)s.p; fastcgi_temp_path %(folder)s/%(name)s.f;
  uwsgi_temp_path %(folder)s/%(name)s.u; scgi_temp_path %(folder)s/%(name)s.s;
  upstream broker { server %(broker)s; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:%(port)d;
    location = /204 { return 204; }
    location / { auth_request /_ask; root %(folder)s; try_files /page =404; }
    location = /_ask { internal; proxy_pass http://broker%(path)s; proxy_http_version 1.1; proxy_pass_request_body off;
      proxy_pass_request_headers off; proxy_set_header Connection ""; proxy_set_header Content-Length "";
      proxy_set_header Authorization $http_authorization; proxy_set_header Countersign-Gateway-Token "%(token)s";
      proxy_set_header X-Original-Method $request_method; proxy_set_header X-Original-URI $request_uri;
      proxy_set_header X-Real-IP $remote_addr; }
  } }
"""


def nginx(folder, name, broker, path, token):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = pathlib.Path(folder, f"{name}.conf")
    file.write_text(NGINX % dict(folder=folder, name=name, broker=broker, path=path, token=token, port=port))
    process = subprocess.Popen(["nginx", "-e", "stderr", "-c", str(file), "-p", folder])
    deadline = time.monotonic() + 10
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/204")
            return process, port
        except OSError:
            assert time.monotonic() < deadline, "nginx did not start"
            time.sleep(0.05)


class Broker:
    """A demo with so many credentials, a key that it issued, and a gateway."""

    def __init__(self, program, credentials):
        start = time.monotonic()
        command = [program, "demo", "--no-console", "--rate", "0", "--credentials", str(credentials)]
        self.process, line = started(command)
        self.up = time.monotonic() - start
        line = json.loads(line)
        self.base, self.token = line["address"], line["token"]
        rows = call(self.base, self.token, "/v1/clients?limit=1000")["items"]
        client = next(c for c in rows if c["environment"] == "development")
        receipt = call(self.base, self.token, "/v1/requests", {
            "credential": "bench/validation", "environment": "development", "kind": "api_key",
            "client": client["id"], "audience": "https://bench.example", "scopes": ["orders:read"], "ttl_s": 3600,
            "reason": "bench"}, "ask")
        deadline = time.monotonic() + 10
        asked = f"/v1/requests/{receipt['subject']}"
        while call(self.base, self.token, asked)["row"]["state"] != "issued":
            assert time.monotonic() < deadline, "the key was not issued"
        self.key = call(self.base, self.token, asked + "/claim", None, "claim")["secret"]["token"]
        self.gateway = call(self.base, self.token, "/v1/gateways", {
            "name": "bench", "profile": "nginx", "environment": "development", "token_ttl_s": 3600}, "gate")["token"]
        settled(self.process.pid)

    def introspect(self):
        return """wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer %s"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"token":"%s"}'
""" % (self.token, self.key)

    def authz(self):
        return """wrk.headers["Authorization"] = "Bearer %s"
wrk.headers["Countersign-Gateway-Token"] = "%s"
wrk.headers["X-Original-Method"] = "GET"
wrk.headers["X-Original-URI"] = "/orders/7"
wrk.headers["X-Real-IP"] = "203.0.113.7"
""" % (self.key, self.gateway)

    def by_key(self):
        return """wrk.headers["Authorization"] = "Bearer %s"
""" % self.key


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--credentials", type=int, default=1_000_000)
    options.add_argument("--seconds", type=int, default=5)
    options = options.parse_args()
    hello, program = built("bench", "--no-run", "--bench", "hello"), built("build", "--bin", "countersign")
    running = []
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "page").write_text("x" * 200)
        try:
            floor, floor_url = started([hello])
            running.append(floor)
            small = Broker(program, 10_000)
            running.append(small.process)
            few = drive(small.process, small.base + "/authz/bench", options.seconds, small.authz())
            small.process.terminate()
            small.process.wait()
            large = Broker(program, options.credentials)
            running.append(large.process)
            # The floor before and after, so that a drift of the machine shows.
            first = drive(floor, floor_url, options.seconds, large.introspect())
            check = drive(large.process, large.base + "/v1/introspect", options.seconds, large.introspect())
            authz = drive(large.process, large.base + "/authz/bench", options.seconds, large.authz())
            last = drive(floor, floor_url, options.seconds, large.introspect())
            resident = resident_mb(large.process.pid)
            none, none_port = nginx(folder, "none", "127.0.0.1:1", "/", "")
            running.append(none)
            front, front_port = nginx(folder, "front", f"127.0.0.1:{none_port}", "/204", "")
            running.append(front)
            bare = drive([front, none], f"http://127.0.0.1:{front_port}/", options.seconds, large.by_key())
            ours, ours_port = nginx(folder, "ours", large.base.removeprefix("http://"), "/authz/bench", large.gateway)
            running.append(ours)
            asks = drive([ours, large.process], f"http://127.0.0.1:{ours_port}/", options.seconds, large.by_key())
        finally:
            for process in running:
                process.terminate()
    h = (first[0] + last[0]) / 2
    count = f"{options.credentials:,}"
    row = lambda what, held, ratio: print(f"{what:<52}{held[0]:6.1f} us CPU/request {held[1]:8.0f} /s  {ratio}")
    row("bare axum, 200 bytes (H)", first, f"(again: {last[0]:.1f})")
    row(f"V1 decision point, {count} credentials", authz, f"{authz[0] / h:.2f} H")
    row(f"V2 introspection, {count} credentials", check, f"{check[0] / h:.2f} H")
    row("nginx auth_request -> nginx 204", bare, "")
    row("V6 nginx auth_request -> decision point", asks, f"{asks[0] / bare[0]:.2f} of that")
    row("V7 decision point, 10,000 credentials", few, f"{authz[0] / few[0]:.2f} at {count}")
    print(f"broker: history made and served in {large.up:.1f} s, resident {resident:.0f} MB "
          f"({resident * 1024 * 1024 / options.credentials:.0f} bytes a credential)")


if __name__ == "__main__":
    main()
