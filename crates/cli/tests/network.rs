//! What stands between us and the services: silence, proxies, certificates.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::program::{Place, Service, example_rows};

/// A port that takes connections and never says a word.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port.to_string())
}

/// A place whose services are there and silent.
fn silent_place() -> (TcpListener, Place) {
    let (listener, port) = silent();
    let mut place = Place::new();
    place.set("VOLCENGINE_ACCESS_KEY", "AKLTpublic");
    place.set("VOLCENGINE_SECRET_KEY", "hush-of-the-silent");
    place.set("VIKING_EXPORT_ENDPOINT", &format!("http://127.0.0.1:{port}"));
    place.set("VIKING_EXPORT_TOS_ENDPOINT", &format!("http://tos.localhost:{port}"));
    (listener, place)
}

#[test]
fn verbs_that_wait_on_the_network_say_so_first() {
    let (_listener, place) = silent_place();
    let export = ["example", "--all", "--to", "tos://demo/x"];
    let verbs = [
        &[&["run"][..], &export].concat()[..],
        &[&["submit"][..], &export].concat(),
        &["wait", "t"],
        &["status", "t"],
        &["list", "example"],
        &["confirm", "t"],
        &["cancel", "t", "--yes"],
        &["fetch", "tos://demo/x", "--dir", "d"],
        &["fetch", "--task", "t", "--dir", "e"],
        &["cat", "tos://demo/x"],
        &["cat", "--task", "t"],
        &["schema", "tos://demo/x"],
        &["count", "tos://demo/x"],
        &["doctor"],
    ];
    for verb in verbs {
        let mut child = place.command(verb).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, heard) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            // Whoever waited too long is gone.
            said.send(line).unwrap_or(());
        });
        // The service says nothing, so whatever is said is said before its answer.
        let line = heard.recv_timeout(Duration::from_secs(20));
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        assert!(line.is_ok_and(|line| line.ends_with('\n')), "{verb:?} waits without a word");
    }
}

#[test]
fn silence_is_waited_for_no_longer_than_asked() {
    let (_listener, place) = silent_place();
    let short = ["--request-timeout", "300ms"];
    let list = place.run(&[&["list", "example"][..], &short].concat());
    list.fails(7, &["no answer from 127.0.0.1"]);
    let fetch = ["fetch", "tos://demo/x", "--dir", "d", "--retries", "1"];
    place.run(&[&fetch[..], &short].concat()).fails(7, &["listing tos://demo/x failed"]);
}

/// A forward proxy for plain http: what it was asked for, and the one service it leads to.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(service: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || drop(forward(stream.unwrap(), service, &noted)));
            }
        });
        Self { port, asked }
    }
}

/// Passes one request on, its address cut down to the path, and its answer back.
fn forward(
    client: TcpStream,
    service: SocketAddr,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let origin = target.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    asked.lock().unwrap().push(target);
    let head = head.replacen(&origin, "", 1).replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut onward = TcpStream::connect(service)?;
    onward.write_all(head.as_bytes())?;
    let (mut up, mut down) = (onward.try_clone()?, client);
    std::thread::spawn(move || drop(std::io::copy(&mut reader, &mut up)));
    std::io::copy(&mut onward, &mut down).map(drop)
}

fn address(url: &str) -> SocketAddr {
    let port = url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[test]
fn services_elsewhere_are_reached_through_the_proxy_of_the_usual_variables() {
    let service = Service::start(&[]);
    let vikingdb = Proxy::start(address(service.text("vikingdb")));
    let tos = Proxy::start(address(service.text("tos")));
    let mut place = Place::at(&service);
    place.set("VIKING_EXPORT_ENDPOINT", "http://vikingdb.test");
    // The emulator knows its buckets by this name; here it is no name of this machine's.
    place.set("VIKING_EXPORT_TOS_ENDPOINT", "http://elsewhere.test");
    place.set("HTTP_PROXY", &format!("http://127.0.0.1:{}", vikingdb.port));
    place.run(&["list", "example", "--allow-http"]).ok();
    assert_eq!(*vikingdb.asked.lock().unwrap(), ["http://vikingdb.test/api/task/list"]);
    place.set("HTTP_PROXY", &format!("http://127.0.0.1:{}", tos.port));
    // Through the proxy TOS is reached, and refuses a host that is none of its own.
    let refused = place.run(&["count", "tos://demo/x", "--allow-http"]);
    refused.fails(2, &["InvalidPathAccess"]);
    assert!(tos.asked.lock().unwrap()[0].starts_with("http://demo.elsewhere.test/?"));
    // Names that are left out by NO_PROXY are asked directly, where nobody is.
    place.set("NO_PROXY", "vikingdb.test");
    place.run(&["list", "example", "--allow-http"]).fails(7, &["no answer from vikingdb.test"]);
}

#[test]
fn the_embedded_service_and_local_files_speak_to_nobody_else() {
    let (listener, port) = silent();
    let mut place = Place::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        place.set(name, &format!("http://127.0.0.1:{port}"));
    }
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--embedded", "--dir", "run"];
    assert_eq!(place.run(&run).ok().stdout, example_rows());
    place.run(&["count", "run"]).ok();
    place.run(&["verify", "run"]).ok();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the proxy was asked");
}

/// The services behind TLS, with a certificate of an authority of our own.
struct Tls {
    ports: [u16; 2],
    authority: String,
    _runtime: Runtime,
}

impl Tls {
    fn start(services: [SocketAddr; 2]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1", "demo.tos.localhost"].map(str::to_owned).to_vec();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![leaf.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let ports = services.map(|service| {
            let bound = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let listener = runtime.block_on(bound).unwrap();
            let port = listener.local_addr().unwrap().port();
            runtime.spawn(serve(listener, acceptor.clone(), service));
            port
        });
        Self { ports, authority: authority.pem(), _runtime: runtime }
    }
}

async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, service: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut onward = tokio::net::TcpStream::connect(service).await.unwrap();
            // A client that does not trust us goes away here.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(tokio::io::copy_bidirectional(&mut stream, &mut onward).await);
            }
        });
    }
}

#[test]
fn a_certificate_authority_of_the_users_own_is_believed_when_named() {
    let service = Service::start(&[]);
    let tls = Tls::start([address(service.text("vikingdb")), address(service.text("tos"))]);
    let mut place = Place::at(&service);
    let [vikingdb, tos] = tls.ports;
    place.set("VIKING_EXPORT_ENDPOINT", &format!("https://127.0.0.1:{vikingdb}"));
    place.set("VIKING_EXPORT_TOS_ENDPOINT", &format!("https://tos.localhost:{tos}"));
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];
    let strange = place.run(&["list", "example"]).fails(7, &["certificate"]);
    assert!(strange.stdout.is_empty());
    std::fs::write(place.path("authority.pem"), &tls.authority).unwrap();
    place.set("SSL_CERT_FILE", place.path("authority.pem").to_str().unwrap());
    assert_eq!(place.run(&run).ok().stdout, example_rows());
}
