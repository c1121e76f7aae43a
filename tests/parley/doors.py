"""Front doors besides the stack's own: an nginx that has a site already, Apache, PHP-FPM, each a process of the
test's own with everything it writes in a temporary directory. What they include of Parley's is what
`make install` put there, with this stack's paths in the place of the system's."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from .stack import BUILD, ROOT, free_port
from .wait import eventually

APACHE = "/usr/sbin/apache2"
MODULES = Path("/usr/lib/apache2/modules")
AS_ROOT = os.getuid() == 0


def installed(directory, stack):
    """`make install` under directory; what there is to include, by name, for this stack."""
    subprocess.run(["make", "-s", "install", f"DESTDIR={directory}", "PREFIX=/usr", f"BUILD={BUILD}"], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    share = Path(directory) / "usr/share/parley"
    here = [("/run/parley/ws-1.sock", stack.daemon_socket(1)), ("/run/parley", f"{stack.var}/run"),
            ("/usr/libexec/parley", f"{stack.var}/bin"), ("/etc/parley/cgi.env", f"{stack.var}/conf/parley.env")]
    texts = {}
    for name in ("nginx/http.conf", "nginx/server.conf", "apache.conf", "apache-cgi.conf"):
        text = (share / name).read_text()
        for old, new in here:
            text = text.replace(old, new)
        texts[name] = text
    return texts


class Door:
    """A server on a port of its own; a stack to those who ask through it (url, ws_url, port, secrets)."""

    def __init__(self, stack, scheme="http"):
        self.stack, self.scheme = stack, scheme
        self.secrets = stack.secrets
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="parley-door-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.processes = []

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def ws_url(self):
        return self.url.replace("http", "ws", 1)

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def logs(self):
        return {p.name: p.read_text(errors="replace") for p in self.directory.glob("*.log")}

    @property
    def certificate(self):
        return str(self.directory / "cert.pem")

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1"], cwd=self.directory, check=True, capture_output=True)

    def spawn(self, *command):
        with open(self.directory / "output.log", "a") as out:
            self.processes.append(subprocess.Popen([str(c) for c in command], cwd=self.directory, stdin=subprocess.DEVNULL,
                                                   stdout=out, stderr=out))

    def wait_for(self, condition, what):
        def there():
            assert all(p.poll() is None for p in self.processes), self.logs()
            return condition()
        eventually(there, what=what)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            return True
        except OSError:
            return False

    def run(self):
        """Start what belongs to it."""
        raise NotImplementedError

    def __enter__(self):
        try:
            self.run()
            self.wait_for(self.listens, f"{type(self).__name__} answers")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=20)
        shutil.rmtree(self.directory)


# ---------------------------------------------------------------------- nginx with a site of its own

SITE = """
{user}
worker_processes 1;
pid {dir}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log {dir}/site-access.log;
    error_log {dir}/site-error.log;
    client_body_temp_path {dir}/body;
    fastcgi_temp_path {dir}/fastcgi;
    proxy_temp_path {dir}/proxy;
    scgi_temp_path {dir}/scgi;
    uwsgi_temp_path {dir}/uwsgi;
    gzip on;
    gzip_types text/plain;
    gzip_min_length 20;
    {http}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        root {dir}/www;
        index index.php;
        client_max_body_size 64k;
        error_page 404 /missing.html;
        error_page 413 /large.html;
        add_header X-Site "the site's own";
        {server}
        location / {{
            try_files $uri $uri/ =404;
        }}
        location ~ \\.php$ {{
            try_files $fastcgi_script_name =404;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_pass unix:{dir}/php.sock;
        }}
    }}
}}
"""

PHP_FPM = """
[global]
error_log = {dir}/php.log
daemonize = no
[site]
{user}
listen = {dir}/php.sock
listen.mode = 0666
pm = static
pm.max_children = 2
"""

#: What the site's page says: which variables it got, how large a body, as the site's own rules have it.
INDEX = """<?php
$mine = array_filter(array_keys($_SERVER), fn($k) => preg_match('/^(REQUEST_ID|GATEWAY_INTERFACE|REMOTE_ADDR|SERVER_)/', $k));
sort($mine);
if (isset($_GET['status'])) http_response_code((int)$_GET['status']);
echo "the site's page ", strlen(file_get_contents('php://input')), ' ', implode(',', $mine), "\\n";
"""


class Site(Door):
    """An nginx with TLS and PHP-FPM; with parley, its two files are included as README.Debian says."""

    def __init__(self, stack, parley=True):
        super().__init__(stack, "https")
        self.parley = parley

    def run(self):
        at = {"dir": self.directory, "port": self.port}
        http = server = ""
        if self.parley:
            texts = installed(self.directory / "root", self.stack)
            for part in ("http", "server"):
                self.write(f"parley-{part}.conf", texts[f"nginx/{part}.conf"].replace("/var/log/parley/access", f"{self.directory}/parley-access")
                           .replace("/var/log/parley", str(self.directory)))
            http, server = (f"include {self.directory}/parley-{part}.conf;" for part in ("http", "server"))
        self.make_certificate()
        self.write("www/index.php", INDEX)
        self.write("www/missing.html", "the site's own 404\n")
        self.write("www/large.html", "the site's own 413\n")
        self.write("www/text.txt", "plain text of the site, long enough to be worth compressing\n" * 4)
        nobody = "user = www-data\ngroup = www-data" if AS_ROOT else ""
        fpm = self.write("php.conf", PHP_FPM.format(user=nobody, **at))
        site = self.write("nginx.conf", SITE.format(user="user www-data;" if AS_ROOT else "", http=http, server=server, **at))
        program = sorted(Path("/usr/sbin").glob("php-fpm*"))[-1]
        self.spawn(program, "-F", "-n", "-y", fpm)
        self.wait_for((self.directory / "php.sock").exists, "PHP-FPM answers")
        self.spawn(shutil.which("nginx") or "/usr/sbin/nginx", "-e", self.directory / "nginx.log", "-c", site, "-g", "daemon off;")


# ---------------------------------------------------------------------- Apache

APACHE_CONF = """
ServerRoot {dir}
DefaultRuntimeDir {dir}
PidFile {dir}/apache.pid
ScriptSock {dir}/cgid.sock
Mutex file:{dir}
ServerName 127.0.0.1
{user}
ErrorLog {dir}/apache-error.log
LogLevel info
StartServers 1
Listen 127.0.0.1:{port}
LogFormat "%r" combined
Define APACHE_LOG_DIR {dir}
<Directory {dir}>
    Require all granted
</Directory>
"""

HOST = """
<VirtualHost *:{port}>
    DocumentRoot {dir}/www
    ErrorDocument 404 "the site's own 404"
    LimitRequestBody 65536
    CustomLog {dir}/site-access.log "%r" "expr=reqenv('parley') != '1' && reqenv('parley_secret') != '1'"
    Include {dir}/parley.conf
</VirtualHost>
"""

#: A host where one may put files and nothing else.
SHARED_HOST = """
<VirtualHost *:{port}>
    DocumentRoot {dir}/www
    ScriptAlias /cgi-bin/ {dir}/cgi-bin/
    <Directory {dir}/www>
        AllowOverride FileInfo
    </Directory>
    CustomLog {dir}/site-access.log "%r"
</VirtualHost>
"""


class Apache(Door):
    """Apache with the event MPM, modules besides, and one of the two configurations Parley ships for it, in which
    edits are made: pairs of what has to be there and what stands there instead."""

    BESIDES = ("mpm_event", "authz_core", "alias", "env", "setenvif", "reqtimeout", "dir")

    def __init__(self, stack, conf, *modules, host=HOST, edits=(), scheme="http"):
        super().__init__(stack, scheme)
        self.conf, self.modules, self.host, self.edits = conf, (*self.BESIDES, *modules), host, edits

    def include(self):
        """What Parley ships, as parley.conf."""
        text = installed(self.directory / "root", self.stack)[self.conf].replace("/var/log/parley", str(self.directory))
        for old, new in self.edits:
            assert old in text, old
            text = text.replace(old, new)
        self.write("parley.conf", text)

    def run(self):
        self.write("www/index.html", "the site's page\n")
        if self.conf:
            self.include()
        if self.scheme == "https":
            self.make_certificate()
        load = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in self.modules)
        user = "User www-data\nGroup www-data" if AS_ROOT else ""
        text = APACHE_CONF + self.host.replace("*:443", "*:{port}")
        for name, value in (("dir", self.directory), ("port", self.port), ("user", user)):
            text = text.replace(f"{{{name}}}", str(value))
        if "cgid" not in self.modules:
            text = text.replace("ScriptSock", "#ScriptSock")
        conf = self.write("apache2.conf", load + text)
        self.spawn(APACHE, "-f", conf, "-D", "FOREGROUND")
