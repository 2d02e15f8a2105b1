//! Serves the API over TLS on loopback and writes a kubeconfig.
//!
//! `serve [--data FOLDER] [--listen 127.0.0.1:6443] [--kubeconfig FILE] [--without-workers]`

use std::path::PathBuf;

use apiserver::{Options, Server, Workers};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut listen = "127.0.0.1:6443".to_owned();
    let mut kubeconfig = PathBuf::from("kubeconfig");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--data" => options.data = Some(value()?.into()),
            "--listen" => listen = value()?,
            "--kubeconfig" => kubeconfig = value()?.into(),
            "--without-workers" => options.workers = Workers::Off,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let server = Server::open(options).await?;
    let listener = TcpListener::bind(&listen).await?;
    let address = listener.local_addr()?;
    server.write_kubeconfig(&kubeconfig, address)?;
    println!("https://{address} {}", kubeconfig.display());
    let stop = async {
        // Without the signal the server simply runs until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    };
    server.serve_tls(listener, stop).await;
    server.shutdown().await;
    Ok(())
}
