//! The cluster: somebody's, by its kubeconfig, or the embedded API, which needs nothing.
//!
//! A [`Cluster`] gives a `kube::Client`; nobody outside of this file can tell who answers. The
//! embedded API is asked in process, without a socket, and serves kubectl on loopback over TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why a cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig could not be read or names no reachable cluster.
    #[error("read the kubeconfig {}: {reason}", .path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The embedded API could not be opened.
    #[error("open the embedded API in {}: {}", .data.display(), chain(.source))]
    Open {
        /// Its data folder.
        data: PathBuf,
        /// Why.
        source: apiserver::Error,
    },
    /// Its address could not be bound.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Its kubeconfig could not be written.
    #[error("write the kubeconfig {}: {reason}", .path.display())]
    WriteKubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// How the embedded API is opened.
#[derive(Debug, Clone, Default)]
pub struct Embedded {
    /// The folder that keeps everything; nothing is kept where it is absent.
    pub data: Option<PathBuf>,
    /// Where kubectl finds it. Without it, the address of the last time if it is free, or any free
    /// port of loopback.
    pub listen: Option<SocketAddr>,
    /// The kubeconfig that is written; without it nothing listens.
    pub kubeconfig: Option<PathBuf>,
}

/// A cluster.
pub struct Cluster {
    client: Client,
    description: String,
    served: Option<(apiserver::Server, Option<TcpListener>)>,
}

impl Cluster {
    /// Returns the cluster that a kubeconfig names. Fails when the file is none; the cluster itself
    /// is not asked.
    pub async fn from_kubeconfig(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Kubeconfig {
            path: path.to_owned(),
            reason,
        };
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(error.to_string()))?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let config = config.map_err(|error| failed(error.to_string()))?;
        let description = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            client,
            description,
            served: None,
        })
    }

    /// Opens the embedded API and binds its address; [`Cluster::serve`] then answers there. Fails
    /// when the data folder is in use or the address is taken.
    pub async fn embedded(options: Embedded) -> Result<Self, Error> {
        let data = options.data.clone();
        let server = apiserver::Server::open(apiserver::Options {
            data: options.data,
            ..apiserver::Options::default()
        });
        let server = server.await.map_err(|source| Error::Open {
            data: data.unwrap_or_default(),
            source,
        })?;
        let service = server.service(apiserver::Identity::administrator());
        let client = Client::new(service, "default");
        let Some(kubeconfig) = options.kubeconfig else {
            let description = "the embedded API, in process".to_owned();
            return Ok(Self {
                client,
                description,
                served: Some((server, None)),
            });
        };
        let listener = bind(options.listen, &kubeconfig).await?;
        let address = listener.local_addr().map_err(|source| Error::Listen {
            address: loopback(0),
            source,
        })?;
        server
            .write_kubeconfig(&kubeconfig, address)
            .map_err(|error| Error::WriteKubeconfig {
                path: kubeconfig.clone(),
                reason: error.to_string(),
            })?;
        let description = format!("https://{address} (kubeconfig {})", kubeconfig.display());
        Ok(Self {
            client,
            description,
            served: Some((server, Some(listener))),
        })
    }

    /// Returns a client of the cluster.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns where the cluster is, for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Serves the embedded API until `shutdown`, and then lets what is being written finish; does
    /// nothing but wait for somebody's cluster.
    pub async fn serve(self, shutdown: CancellationToken) {
        match self.served {
            Some((server, Some(listener))) => {
                server.serve_tls(listener, shutdown.cancelled_owned()).await;
            }
            Some((server, None)) => {
                shutdown.cancelled().await;
                server.shutdown().await;
            }
            None => shutdown.cancelled().await,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Binds the wanted address. Where none is wanted, kubeconfigs that people copied stay valid as long
/// as the last port is free.
async fn bind(listen: Option<SocketAddr>, kubeconfig: &Path) -> Result<TcpListener, Error> {
    if listen.is_none()
        && let Some(port) = last_port(kubeconfig)
        && let Ok(listener) = TcpListener::bind(loopback(port)).await
    {
        return Ok(listener);
    }
    let address = listen.unwrap_or(loopback(0));
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })
}

fn last_port(kubeconfig: &Path) -> Option<u16> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).ok()?;
    let server = kubeconfig
        .clusters
        .first()?
        .cluster
        .as_ref()?
        .server
        .as_ref()?;
    server.strip_prefix("https://127.0.0.1:")?.parse().ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
