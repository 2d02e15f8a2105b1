//! Amazon's access keys, from the first place that has one: the environment, a web identity file
//! (through STS), a container's credential service, the machine's metadata service.
//!
//! In: the variables that Amazon's own tools read. Out: a key, or a reason that names the place
//! that was tried and failed, or all that were empty. A place that is set up but fails is not
//! passed over.

use reqwest::{Method, Url};
use serde::Deserialize;

use super::super::Proxy;
use super::super::token_service::form;
use super::Surroundings;
use super::exchange::{Exchange, Where};
use super::sigv4::Key;
use super::surroundings::file;
use crate::safe::Secret;

/// The metadata service of a machine, and that of a container.
const MACHINE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// Hosts that may be a container's credential service over plain http.
const CONTAINER_HOSTS: [&str; 6] = [
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::23]",
    "localhost",
    "127.0.0.1",
    "[::1]",
];

/// How long a key of the metadata service may be asked for with one token.
const SESSION_SECONDS: &str = "300";

/// A key as the metadata services write it.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "AccessKeyId")]
    id: String,
    #[serde(rename = "SecretAccessKey")]
    secret: String,
    #[serde(rename = "Token")]
    session: Option<String>,
}

impl From<Answer> for Key {
    fn from(answer: Answer) -> Self {
        Self {
            id: answer.id,
            secret: Secret::new(answer.secret),
            session: answer.session.map(Secret::new),
        }
    }
}

/// Returns the key of the process.
pub(super) async fn find(
    around: &Surroundings,
    region: &str,
    proxy: Option<&Proxy>,
) -> Result<Key, String> {
    let pair = (
        around.get("AWS_ACCESS_KEY_ID"),
        around.get("AWS_SECRET_ACCESS_KEY"),
    );
    if let (Some(id), Some(secret)) = pair {
        let session = around.get("AWS_SESSION_TOKEN");
        return Ok(Key {
            id: id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            session: session.map(|session| Secret::new(session.to_owned())),
        });
    }
    if let Some(token) = around.file("AWS_WEB_IDENTITY_TOKEN_FILE").await? {
        return assume(around, &token, region, proxy).await;
    }
    if let Some(url) = container(around)? {
        return from_container(around, &url).await;
    }
    if around.get("AWS_EC2_METADATA_DISABLED") == Some("true") {
        return Err(
            "no access key: neither AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE nor \
             AWS_CONTAINER_CREDENTIALS_… is set, and the metadata service is switched off"
                .to_owned(),
        );
    }
    from_machine(around).await
}

/// Exchanges a web identity for a key of the role that `AWS_ROLE_ARN` names.
async fn assume(
    around: &Surroundings,
    token: &Secret<String>,
    region: &str,
    proxy: Option<&Proxy>,
) -> Result<Key, String> {
    let role = around.get("AWS_ROLE_ARN");
    let role = role.ok_or("AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN")?;
    let session = around.get("AWS_ROLE_SESSION_NAME").unwrap_or("towpath");
    let form = form(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.expose()),
    ]);
    let moved = around
        .get("AWS_ENDPOINT_URL_STS")
        .or(around.get("AWS_ENDPOINT_URL"));
    let region = around
        .get("AWS_REGION")
        .or(around.get("AWS_DEFAULT_REGION"))
        .unwrap_or(region);
    let usual = match region.starts_with("cn-") {
        true => format!("https://sts.{region}.amazonaws.com.cn"),
        false => format!("https://sts.{region}.amazonaws.com"),
    };
    let endpoint = moved.unwrap_or(&usual);
    let exchange = Exchange::new(Where::Endpoint(proxy), Method::POST, endpoint)?;
    let answer = exchange.form(&form).text().await?;
    let part = |name: &str| {
        let value = element(answer.expose(), name);
        value.ok_or_else(|| format!("POST {endpoint}: the answer holds no {name}"))
    };
    Ok(Key {
        id: part("AccessKeyId")?,
        secret: Secret::new(part("SecretAccessKey")?),
        session: Some(Secret::new(part("SessionToken")?)),
    })
}

/// Returns the text of the first element of a name in an XML answer.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    // The last one, so that `&amp;lt;` is read once only.
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&").trim().to_owned())
}

/// Returns the URL of a container's credential service, where one is named.
fn container(around: &Surroundings) -> Result<Option<String>, String> {
    if let Some(path) = around.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Ok(Some(format!("{CONTAINER}{path}")));
    }
    let Some(full) = around.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
        return Ok(None);
    };
    let url = Url::parse(full).ok().filter(|url| {
        let host = url.host_str().unwrap_or_default();
        url.scheme() == "https" || CONTAINER_HOSTS.contains(&host)
    });
    match url {
        Some(_) => Ok(Some(full.to_owned())),
        None => Err(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a container's own address"
                .to_owned(),
        ),
    }
}

async fn from_container(around: &Surroundings, url: &str) -> Result<Key, String> {
    let token = match around.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(file(path).await?),
        None => around
            .get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
            .map(|token| Secret::new(token.to_owned())),
    };
    let mut exchange = Exchange::new(Where::Metadata, Method::GET, url)?;
    if let Some(token) = &token {
        exchange = exchange.header("authorization", token.expose());
    }
    let answer: Answer = exchange.json().await?;
    Ok(answer.into())
}

async fn from_machine(around: &Surroundings) -> Result<Key, String> {
    let machine = around.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let machine = machine.unwrap_or(MACHINE).trim_end_matches('/');
    let token = format!("{machine}/latest/api/token");
    let token = Exchange::new(Where::Metadata, Method::PUT, &token)?
        .header("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)
        .text()
        .await
        .map_err(|error| format!("no access key in the environment, and {error}"))?;
    let ask = |path: &str| {
        let url = format!("{machine}/latest/meta-data/iam/security-credentials/{path}");
        let exchange = Exchange::new(Where::Metadata, Method::GET, &url)?;
        Ok::<_, String>(exchange.header("x-aws-ec2-metadata-token", token.expose()))
    };
    let roles = ask("")?.text().await?;
    let role = roles.expose().lines().next().unwrap_or_default();
    if role.is_empty() || role.contains(['/', '?', '#', '.']) {
        return Err("the machine has no role".to_owned());
    }
    let answer: Answer = ask(role)?.json().await?;
    Ok(answer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_an_answer_are_found_and_unescaped() {
        let xml = "<a><Credentials><AccessKeyId> A&amp;lt;B </AccessKeyId></Credentials></a>";
        assert_eq!(element(xml, "AccessKeyId").as_deref(), Some("A&lt;B"));
        assert_eq!(element(xml, "SecretAccessKey"), None);
        assert_eq!(element("<X>no end", "X"), None);
    }

    #[test]
    fn a_containers_service_is_its_own_or_has_tls() {
        for (url, allowed) in [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://127.0.0.1:80/", true),
            ("https://vault.acme.io/", true),
            ("http://vault.acme.io/", false),
            ("169.254.170.23", false),
        ] {
            let name = "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned();
            let around: Surroundings = [(name, url.to_owned())].into_iter().collect();
            assert_eq!(container(&around).is_ok(), allowed, "{url}");
        }
    }
}
