//! A file server for the built page, on this machine alone.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Ending of the files that hold weights.
const WEIGHTS: &str = ".safetensors";

/// A running server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    /// Dropped without waiting for the connections that a browser keeps open.
    runtime: Option<Runtime>,
    site: Arc<Site>,
}

/// When requests for weights are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Like all others.
    AtOnce,
    /// From [`Server::release_weights`] on: what a page does before its model is there can be looked at.
    Held,
}

struct Site {
    folder: PathBuf,
    weights: watch::Sender<Weights>,
    requested: Mutex<Vec<String>>,
}

impl Server {
    /// Takes a port, so that a port in use is known before anything is built.
    ///
    /// # Errors
    ///
    /// If the port is taken; the message says what to do.
    pub fn bind(port: u16) -> Result<TcpListener> {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
                "port {port} of 127.0.0.1 is in use by another program: end that one, or choose another port, \
                 such as `cargo xtask demo --port {}`",
                port.checked_add(1).unwrap_or(8080)
            ),
            result => result.with_context(|| format!("opening port {port} of 127.0.0.1")),
        }
    }

    /// Serves the files of a folder from now on.
    ///
    /// # Errors
    ///
    /// If the folder is not there or the listener cannot be used.
    pub fn start(folder: &Path, listener: TcpListener, weights: Weights) -> Result<Self> {
        let folder = fs::canonicalize(folder).with_context(|| format!("serving {}", folder.display()))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let site = Arc::new(Site { folder, weights: watch::Sender::new(weights), requested: Mutex::default() });
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&site));
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, runtime: Some(runtime), site })
    }

    /// The page's address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The paths requested so far, in order.
    pub fn requested(&self) -> Vec<String> {
        lock(&self.site.requested).clone()
    }

    /// Answers the requests for weights that wait, and those to come.
    pub fn release_weights(&self) {
        self.site.weights.send_replace(Weights::AtOnce);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    lock(&site.requested).push(path.clone());
    if path.ends_with(WEIGHTS) {
        // An error means that the server ends.
        let _ = site.weights.subscribe().wait_for(|weights| *weights == Weights::AtOnce).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here").into_response();
    }
    let file = file_of(&site.folder, &path).and_then(|file| Some((content_type(&file), fs::read(file).ok()?)));
    match file {
        Some((content_type, bytes)) => {
            // A page built anew is seen at once, and what the page keeps it keeps by itself.
            let headers = [
                (CONTENT_TYPE, content_type),
                (CACHE_CONTROL, "no-store"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                // Apart from all other pages: only then a browser tells how much memory this one takes.
                (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
                (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
            ];
            (headers, Body::from(bytes)).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

/// The file that a path means, if it lies in the folder.
fn file_of(folder: &Path, path: &str) -> Option<PathBuf> {
    let relative = percent_decoded(path.strip_prefix('/')?)?;
    if relative.contains(['\\', '\0']) || !Path::new(&relative).components().all(|c| matches!(c, Component::Normal(_)))
    {
        return None;
    }
    let mut file = folder.join(relative);
    if file.is_dir() {
        file.push("index.html");
    }
    // After links are followed: they, too, must not lead out.
    fs::canonicalize(file).ok().filter(|file| file.starts_with(folder) && file.is_file())
}

/// The text that `%20` and its like stand for.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        // Browsers compile WebAssembly while it arrives only if it is called so.
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("dcm") => "application/dicom",
        _ => "application/octet-stream",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("site/models")).expect("creates");
        for (name, text) in [
            ("secret", "secret"),
            ("site/index.html", "<p>page"),
            ("site/a b.wasm", "\0asm"),
            ("site/models/w.safetensors", "w"),
        ] {
            fs::write(folder.path().join(name), text).expect("writes");
        }
        folder
    }

    fn start(folder: &tempfile::TempDir, weights: Weights) -> Server {
        let listener = Server::bind(0).expect("any port");
        Server::start(&folder.path().join("site"), listener, weights).expect("serves")
    }

    /// Sends a request line as it stands: a client library would tidy up the path.
    fn send(server: &Server, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server.address).expect("connects");
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sends");
        stream
    }

    fn ask(server: &Server, request: &str) -> String {
        let mut answer = String::new();
        send(server, request).read_to_string(&mut answer).expect("reads");
        answer
    }

    #[test]
    fn files_come_with_type_and_length() {
        let folder = folder();
        let server = start(&folder, Weights::AtOnce);
        let page = ask(&server, "GET /?x=1");
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("<p>page"), "{page}");
        assert!(page.contains("content-type: text/html") && page.contains("content-length: 7"), "{page}");
        assert!(page.contains("cache-control: no-store"), "{page}");
        assert!(ask(&server, "GET /a%20b.wasm").contains("content-type: application/wasm"));
        assert!(!ask(&server, "HEAD /").contains("<p>page"));
        assert!(ask(&server, "POST /").starts_with("HTTP/1.1 405"));
        assert_eq!(server.requested(), ["/", "/a%20b.wasm", "/", "/"]);
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        let folder = folder();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("secret"), folder.path().join("site/link")).expect("links");
        let server = start(&folder, Weights::AtOnce);
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/models/../../secret",
            "/..%2fsecret",
            "//etc/passwd",
            "/link",
            "/%",
            "/none",
        ] {
            let answer = ask(&server, &format!("GET {path}"));
            assert!(answer.starts_with("HTTP/1.1 404") && !answer.ends_with("secret"), "{path}: {answer}");
        }
    }

    #[test]
    fn held_weights_wait_while_the_rest_is_served() {
        let folder = folder();
        let server = start(&folder, Weights::Held);
        let mut weights = send(&server, "GET /models/w.safetensors");
        while !server.requested().contains(&"/models/w.safetensors".to_owned()) {
            thread::yield_now();
        }
        assert!(ask(&server, "GET /").ends_with("<p>page"));
        server.release_weights();
        let mut answer = String::new();
        weights.read_to_string(&mut answer).expect("reads");
        assert!(answer.ends_with("\r\n\r\nw"), "{answer}");
    }

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let taken = Server::bind(0).expect("any port");
        let port = taken.local_addr().expect("an address").port();
        let error = Server::bind(port).expect_err("taken").to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
    }
}
