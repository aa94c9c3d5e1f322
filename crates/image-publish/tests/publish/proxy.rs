//! Stands between a client and a server, writes down every request, and breaks what it is told to.

use std::{
    io::{self, BufRead, BufReader, Read, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// What the server said; `None` where it said nothing.
    pub(crate) status: Option<u16>,
}

impl Request {
    /// A part of an object.
    pub(crate) fn is_part(&self) -> bool {
        self.method == "PUT" && self.target.contains("partNumber=")
    }

    /// An object, or the completion of one.
    pub(crate) fn is_object(&self) -> bool {
        let completes = self.method == "POST" && self.target.contains("uploadId=");
        completes || self.method == "PUT" && !self.is_part()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
pub(crate) enum Fate {
    /// It is passed on.
    Pass,
    /// It is answered here.
    Answer(u16, &'static str),
    /// It is passed on, and the answer gets lost with the connection.
    LoseAnswer,
    /// It is passed on, and the connection breaks in the middle of the answer.
    HalfAnAnswer,
    /// The connection breaks.
    Break,
}

type Judge = Arc<dyn Fn(&Request) -> Fate + Send + Sync>;

struct Shared {
    server: SocketAddr,
    judge: Mutex<Judge>,
    log: Mutex<Vec<Request>>,
    /// Requests with a body that are under way, and the most there were.
    under_way: Mutex<(usize, usize)>,
    changed: Condvar,
    /// Parts wait until so many are under way, for a minute.
    gather: usize,
    is_closed: AtomicBool,
}

pub(crate) struct Proxy {
    pub(crate) at: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self::with(server, 0, |_| Fate::Pass)
    }

    /// Parts wait for each other until there are `gather`.
    pub(crate) fn with(
        server: SocketAddr,
        gather: usize,
        judge: impl Fn(&Request) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            judge: Mutex::new(Arc::new(judge)),
            log: Mutex::default(),
            under_way: Mutex::default(),
            changed: Condvar::new(),
            gather,
            is_closed: AtomicBool::new(false),
        });
        let of_thread = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if of_thread.is_closed.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), shared) = (client, of_thread.clone()) else { continue };
                // An error is the end of a connection, which is what the client sees as well.
                thread::spawn(move || serve(client, &shared));
            }
        });
        Self { at, shared }
    }

    /// From now on.
    pub(crate) fn judge(&self, judge: impl Fn(&Request) -> Fate + Send + Sync + 'static) {
        *self.shared.judge.lock().unwrap() = Arc::new(judge);
    }

    /// All requests since this was asked for the last time.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }

    /// The most requests with a body that were under way at the same time.
    pub(crate) fn most_under_way(&self) -> usize {
        self.shared.under_way.lock().unwrap().1
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.at);
    }
}

fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let mut to_client = client;
    let mut server: Option<BufReader<TcpStream>> = None;
    while let Some((head, first, headers)) = head(&mut from_client)? {
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let request = Request { method, target, headers, status: None };
        let len = request.header("content-length").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        from_client.read_exact(&mut body)?;
        let note = |status| {
            shared.log.lock().unwrap().push(Request { status, ..request.clone() });
        };
        let judge = shared.judge.lock().unwrap().clone();
        let fate = judge(&request);
        if let Fate::Break = fate {
            note(None);
            return Ok(());
        }
        if let Fate::Answer(status, text) = fate {
            note(Some(status));
            // What follows the head of an answer to HEAD is taken for the next answer.
            let text = if request.method == "HEAD" { "" } else { text };
            let len = text.len();
            write!(to_client, "HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n\r\n{text}")?;
            continue;
        }
        let is_body = !body.is_empty();
        if is_body {
            enter(shared, request.is_part());
        }
        let passed = pass(&mut server, shared.server, &head, &body, &request.method);
        if is_body {
            shared.under_way.lock().unwrap().0 -= 1;
        }
        note(passed.as_ref().ok().map(|(status, _)| *status));
        let (_, answer) = passed?;
        if let Fate::LoseAnswer = fate {
            return Ok(());
        }
        if let Fate::HalfAnAnswer = fate {
            return to_client.write_all(&answer[..answer.len() / 2]);
        }
        to_client.write_all(&answer)?;
    }
    Ok(())
}

fn enter(shared: &Shared, is_part: bool) {
    let mut under_way = shared.under_way.lock().unwrap();
    under_way.0 += 1;
    under_way.1 = under_way.1.max(under_way.0);
    shared.changed.notify_all();
    if is_part && under_way.1 < shared.gather {
        let wait = Duration::from_secs(60);
        let (gather, changed) = (shared.gather, &shared.changed);
        drop(
            changed.wait_timeout_while(under_way, wait, |under_way| under_way.1 < gather).unwrap(),
        );
    }
}

type Head = (Vec<u8>, String, Vec<(String, String)>);

/// The head of a message, its first line, and its headers; `None` at the end of the connection.
fn head(from: &mut impl BufRead) -> io::Result<Option<Head>> {
    let (mut whole, mut first, mut headers) = (Vec::new(), None, Vec::new());
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        whole.extend_from_slice(&line);
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        match (&first, line.split_once(':')) {
            (None, _) => first = Some(line),
            (_, Some((name, value))) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            (Some(_), None) => return Ok(Some((whole, first.unwrap(), headers))),
        }
    }
}

/// Passes a request on, and gives its status and all of its answer.
fn pass(
    server: &mut Option<BufReader<TcpStream>>,
    at: SocketAddr,
    request: &[u8],
    body: &[u8],
    method: &str,
) -> io::Result<(u16, Vec<u8>)> {
    if server.is_none() {
        *server = Some(BufReader::new(TcpStream::connect(at)?));
    }
    let server = server.as_mut().unwrap();
    server.get_mut().write_all(request)?;
    server.get_mut().write_all(body)?;
    let Some((mut answer, first, headers)) = head(server)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let get = |wanted: &str| {
        headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok((status, answer));
    }
    if get("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = Vec::new();
            server.read_until(b'\n', &mut line)?;
            answer.extend_from_slice(&line);
            let digits = String::from_utf8_lossy(&line);
            let len = usize::from_str_radix(digits.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; len + 2];
            server.read_exact(&mut chunk)?;
            answer.extend_from_slice(&chunk);
            if len == 0 {
                return Ok((status, answer));
            }
        }
    }
    let len = get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut rest = vec![0; len];
    server.read_exact(&mut rest)?;
    answer.extend_from_slice(&rest);
    Ok((status, answer))
}
