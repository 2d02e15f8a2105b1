//! Scanning a thousand tags from Debian's docker-registry: our own processor time, beside that of a
//! socket that sends the same request and throws the answer away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use towpath::cli::demo::registry as demo;
use towpath::image::Repository;
use towpath::registry::{Access, Client, Validator};
use towpath::tags::{Owner, Reading, Scan, Store};

use crate::Size;
use crate::figure::{best, print_time};
use crate::process::{kernel_part, used};
use crate::tags::build;

/// Tags of the repository.
const N_TAGS: usize = 1_000;
/// Lines of the log that are looked at until the address is told.
const LOG_LINES_MAX: usize = 200;
/// Scans before the time is taken.
const N_WARM: usize = 20;
/// What a scan may take.
const TARGET: Duration = Duration::from_micros(150);
/// Bytes of an answer that is read by hand.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What an answer in chunks ends with.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// A running docker-registry; it ends when this is dropped.
struct Registry {
    process: Child,
    host: String,
    folder: tempfile::TempDir,
}

/// Prints the section.
pub fn print(size: Size) -> anyhow::Result<()> {
    // An error means that the process has chosen its provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One thread, so that all of the time is seen and none of it is spent on handing over.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(scans(size))
}

/// What is scanned, and what the scan before left.
struct Scanned {
    client: Client,
    store: Store,
    image: Repository,
    access: Access,
    owner: Owner,
    known: Option<Validator>,
}

/// Processor time of one act.
#[derive(Clone, Copy)]
struct Time {
    all: Duration,
    kernel: Duration,
}

async fn scans(size: Size) -> anyhow::Result<()> {
    let registry = Registry::start()?;
    registry.fill().await?;
    let folder = tempfile::tempdir()?;
    let mut scanned = Scanned {
        client: Client::new(),
        store: Store::open(folder.path())?,
        image: Repository::parse(&format!("{}/team/app", registry.host))?,
        access: Access {
            insecure: true,
            ..Access::anonymous(Duration::from_secs(20))
        },
        owner: Owner {
            namespace: "apps".to_owned(),
            name: "app".to_owned(),
        },
        known: None,
    };
    scanned.scan(true).await?;
    let bare = bare(&registry.host, size)?;
    let written = scanned.store.written();
    let again = scanned.time(false, size).await?;
    let anew = scanned.time(true, size).await?;
    anyhow::ensure!(scanned.store.written() == written, "nothing new is written");

    let floor = ("a bare socket", bare.all);
    let what = format!("a scan of {N_TAGS} tags, nothing new");
    print_time(&what, again.all, TARGET, floor);
    print_time("the same, the list read anew", anew.all, TARGET, floor);
    for (what, time) in [
        ("nothing new", again),
        ("read anew", anew),
        ("bare socket", bare),
    ] {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let user = micros(time.all.saturating_sub(time.kernel));
        let kernel = micros(time.kernel);
        println!("    {what:<12} {user:>6.1} µs our code {kernel:>6.1} µs the kernel");
    }
    let body = serde_json::to_vec(&serde_json::json!({
        "name": "team/app", "tags": (0..N_TAGS).map(build).collect::<Vec<_>>(),
    }))?;
    let parse = || serde_json::from_slice::<serde_json::Value>(&body).is_ok();
    let parsed = best(parse).0.as_secs_f64() * 1e6;
    println!("    parsing the list's JSON to values alone {parsed:.1} µs");
    Ok(())
}

impl Scanned {
    async fn time(&mut self, is_anew: bool, size: Size) -> anyhow::Result<Time> {
        for _ in 0..N_WARM.min(size.n_scans) {
            self.scan(is_anew).await?;
        }
        let began = Began::now()?;
        for _ in 0..size.n_scans {
            self.scan(is_anew).await?;
        }
        began.each(size.n_scans)
    }

    /// Lists the tags and stores them, as a pass of an ImageRepository does: anew after a start,
    /// and else beside what the last scan left.
    async fn scan(&mut self, is_anew: bool) -> anyhow::Result<()> {
        let started_at = chrono::Utc::now();
        let repository = self.image.to_string();
        let known = match is_anew {
            true => None,
            false => self.known.as_ref(),
        };
        let keep = |tag: &str| !tag.ends_with(".sig");
        let listed = self
            .client
            .tags_if_changed(&self.image, &self.access, &keep, known)
            .await?;
        let Some(listing) = listed else {
            return Ok(());
        };
        anyhow::ensure!(known.is_none(), "the list has not changed");
        let reading = Reading {
            started_at,
            finished_at: chrono::Utc::now(),
            n_pages: listing.n_pages,
        };
        self.known = listing.validator;
        anyhow::ensure!(self.known.is_some(), "the list can be compared");
        let scan = Scan::new(&repository, listing.tags, reading);
        let n_tags = scan.epoch().n_tags;
        anyhow::ensure!(n_tags == N_TAGS, "{n_tags} tags");
        self.store.replace(&self.owner, &scan)?;
        Ok(())
    }
}

/// Returns what the request alone takes, written and read by hand over one connection.
fn bare(host: &str, size: Size) -> anyhow::Result<Time> {
    let mut socket = TcpStream::connect(host)?;
    socket.set_nodelay(true)?;
    let request = format!(
        "GET /v2/team/app/tags/list?n=1000 HTTP/1.1\r\nhost: {host}\r\naccept: \
         application/json\r\naccept-encoding: gzip\r\n\r\n"
    );
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    let mut ask = || {
        socket.write_all(request.as_bytes())?;
        let mut n_read = 0;
        while !answer[..n_read].ends_with(LAST_CHUNK) {
            let n = socket.read(&mut answer[n_read..])?;
            anyhow::ensure!(n > 0, "the registry's answer is too long, or broke off");
            n_read += n;
        }
        Ok(())
    };
    for _ in 0..N_WARM.min(size.n_scans) {
        ask()?;
    }
    let began = Began::now()?;
    for _ in 0..size.n_scans {
        ask()?;
    }
    began.each(size.n_scans)
}

/// What this process has used when something began.
struct Began {
    all: Duration,
    parts: (u64, u64),
}

impl Began {
    fn now() -> anyhow::Result<Self> {
        Ok(Self {
            all: used()?,
            parts: kernel_part()?,
        })
    }

    /// Returns what each of so many acts took since.
    fn each(&self, n: usize) -> anyhow::Result<Time> {
        let all = (used()? - self.all) / u32::try_from(n)?;
        let (kernel, parts) = kernel_part()?;
        let (kernel, parts) = (kernel - self.parts.0, parts - self.parts.1);
        Ok(Time {
            all,
            kernel: all.mul_f64(kernel as f64 / parts.max(1) as f64),
        })
    }
}

impl Registry {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("store");
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  \
             filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            root.display()
        );
        std::fs::write(&config, text)?;
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start docker-registry; install it: apt-get install docker-registry")?;
        let log = process.stderr.take().context("stderr is not piped")?;
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let host = lines.by_ref().take(LOG_LINES_MAX).find_map(|line| {
            let (_, after) = line.split_once("listening on ")?;
            let end = after.find([',', '"', ' ']).unwrap_or(after.len());
            Some(after[..end].to_owned())
        });
        let host = host.context("docker-registry does not listen")?;
        // The pipe is read to its end, so that the registry never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            process,
            host,
            folder,
        })
    }

    /// Pushes an image and gives it all tags, in the folder where the registry keeps them.
    async fn fill(&self) -> anyhow::Result<()> {
        let first = build(0);
        demo::push(&format!("{}/team/app", self.host), &first, b"app").await?;
        let tags = "store/docker/registry/v2/repositories/team/app/_manifests/tags";
        let tags = self.folder.path().join(tags);
        for n in 1..N_TAGS {
            copy(&tags.join(&first), &tags.join(build(n)))?;
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (entry, to) = (entry?, to.to_owned());
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => std::fs::copy(entry.path(), to).map(drop)?,
        }
    }
    Ok(())
}
