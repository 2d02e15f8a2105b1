//! Scanning a thousand tags from Debian's docker-registry: our own processor time.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use towpath::cli::demo::registry as demo;
use towpath::image::Repository;
use towpath::registry::{Access, Client};
use towpath::tags::{Owner, Reading, Scan, Store};

use crate::Size;
use crate::figure::{best, print_time};
use crate::process::used;
use crate::tags::build;

/// Tags of the repository.
const N_TAGS: usize = 1_000;
/// Lines of the log that are looked at until the address is told.
const LOG_LINES_MAX: usize = 200;
/// Scans before the time is taken.
const N_WARM: usize = 20;

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

async fn scans(size: Size) -> anyhow::Result<()> {
    let registry = Registry::start()?;
    registry.fill().await?;
    let image = Repository::parse(&format!("{}/team/app", registry.host))?;
    let access = Access {
        insecure: true,
        ..Access::anonymous(Duration::from_secs(20))
    };
    let folder = tempfile::tempdir()?;
    let (client, store) = (Client::new(), Store::open(folder.path())?);
    for _ in 0..N_WARM.min(size.n_scans) {
        scan(&client, &image, &access, &store).await?;
    }
    let (written, before) = (store.written(), used()?);
    for _ in 0..size.n_scans {
        scan(&client, &image, &access, &store).await?;
    }
    let time = (used()? - before) / u32::try_from(size.n_scans)?;
    anyhow::ensure!(store.written() == written, "nothing new is written");
    let body = serde_json::to_vec(&serde_json::json!({
        "name": "team/app", "tags": (0..N_TAGS).map(build).collect::<Vec<_>>(),
    }))?;
    let sum = || body.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let parse = || serde_json::from_slice::<serde_json::Value>(&body).is_ok();
    let what = format!("a scan of {N_TAGS} tags, nothing new");
    let floor = ("parsing its JSON to values", best(parse).0);
    print_time(&what, time, Duration::from_micros(150), floor);
    let floor = ("reading its bytes", best(sum).0);
    print_time(&what, time, Duration::from_micros(150), floor);
    Ok(())
}

/// Lists the tags and stores them, as a pass of an ImageRepository does.
async fn scan(
    client: &Client,
    image: &Repository,
    access: &Access,
    store: &Store,
) -> anyhow::Result<()> {
    let owner = Owner {
        namespace: "apps".to_owned(),
        name: "app".to_owned(),
    };
    let started_at = chrono::Utc::now();
    let listing = client
        .tags(image, access, &|tag| !tag.ends_with(".sig"))
        .await?;
    let reading = Reading {
        started_at,
        finished_at: chrono::Utc::now(),
        n_pages: listing.n_pages,
    };
    let scan = Scan::new(&image.to_string(), listing.tags, reading);
    anyhow::ensure!(
        scan.epoch().n_tags == N_TAGS,
        "{} tags",
        scan.epoch().n_tags
    );
    store.replace(&owner, &scan)?;
    Ok(())
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
