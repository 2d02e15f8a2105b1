//! Logins by `spec.provider`: each kind of proof against a fake of its endpoint, beside a registry
//! that lets in the credential that comes of it and nobody else.

use std::collections::BTreeMap;
use std::path::Path;

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use towpath::outbound::Hosts;
use towpath::registry::{Access, Client, Error, Listing, Provider, Surroundings};
use towpath::safe::AddressRule;

use super::{TAGS, client, insecure, ok, repository};
use crate::world::registry::{Scripted, Seen, answer};

/// What must be in no error.
const SECRET: &str = "s3cret-word";

/// A registry under its cloud's name, and the endpoints of the cloud, all on one port.
struct Cloud {
    server: Scripted,
    host: &'static str,
    folder: tempfile::TempDir,
}

impl Cloud {
    /// Starts one whose registry lets in a name and a password, and whose other paths are played by
    /// a script.
    async fn start(
        host: &'static str,
        user: (&'static str, &'static str),
        script: impl Fn(&Seen) -> Response + Send + Sync + 'static,
    ) -> Self {
        let wanted = format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", user.0, user.1))
        );
        let server = Scripted::start(move |seen, _| {
            if !seen.path.starts_with("/v2/") {
                return script(seen);
            }
            match seen.authorization == wanted {
                true => ok(TAGS),
                false => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], "no"),
            }
        });
        Self {
            server: server.await,
            host,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    fn path(&self, name: &str) -> String {
        let path: &Path = self.folder.path();
        path.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn client(&self, variables: &[(&str, &str)]) -> Client {
        let address = self.server.host().parse().unwrap();
        let known = BTreeMap::from([(self.host.to_owned(), vec![address])]);
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        client()
            .with_hosts(Hosts::new(AddressRule::WithPrivate).with_known(known))
            .with_surroundings(variables.collect::<Surroundings>())
    }

    async fn list(&self, client: &Client, provider: Provider) -> Result<Listing, Error> {
        let access = Access {
            provider: Some(provider),
            ..insecure(None)
        };
        let repository = repository(self.host, "team/app");
        client.tags(&repository, &access, &|_| true).await
    }

    /// Lists twice with these variables and returns how often anything but the registry was asked.
    async fn n_asked(&self, provider: Provider, variables: &[(&str, &str)]) -> usize {
        let count = || {
            let seen = self.server.seen();
            seen.iter().filter(|s| !s.path.starts_with("/v2/")).count()
        };
        let (client, before) = (self.client(variables), count());
        for _ in 0..2 {
            let listing = self.list(&client, provider).await.unwrap();
            assert_eq!(listing.tags, ["2", "1"]);
        }
        count() - before
    }

    /// Returns the text of the error that a listing with these variables ends with.
    async fn error(&self, provider: Provider, variables: &[(&str, &str)]) -> String {
        let listed = self.list(&self.client(variables), provider).await;
        let error = listed.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains(SECRET), "{text}");
        error.to_string()
    }
}

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// Amazon's endpoints: ECR, STS, a container's credential service, a machine's metadata service.
fn amazon(seen: &Seen) -> Response {
    let key = |id: &str| {
        ok(format!(
            r#"{{"AccessKeyId":"{id}","SecretAccessKey":"{SECRET}","Token":"session-{id}","Code":"Success"}}"#
        ))
    };
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/") if seen.body.starts_with("Action=AssumeRoleWithWebIdentity") => {
            let fields = "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fscan&RoleSessionName=towpath&WebIdentityToken=jwt-s3cret-word";
            match seen.body.ends_with(fields) {
                true => ok(format!(
                    "<A><R><Credentials><AccessKeyId>WEB</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
                     <SessionToken>session-WEB</SessionToken></Credentials></R></A>"
                )),
                false => answer(400, &[], format!("bad: {}", seen.body)),
            }
        }
        ("POST", "/") => {
            let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
            let (_, id) = seen
                .authorization
                .split_once("Credential=")
                .unwrap_or_default();
            let (id, scope) = id.split_once('/').unwrap_or_default();
            let session = seen.header("x-amz-security-token");
            let known =
                (id == "STATIC" && session.is_empty()) || session == format!("session-{id}");
            let is_good = known
                && seen.header("x-amz-target") == target
                && scope.contains("/eu-west-1/ecr/aws4_request")
                && seen.body == "{}";
            if !is_good {
                return answer(400, &[], r#"{"__type":"UnrecognizedClientException"}"#);
            }
            let token = STANDARD.encode(format!("AWS:{SECRET}"));
            ok(format!(
                r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":99999999999.1}}]}}"#
            ))
        }
        ("GET", "/creds") if seen.authorization == "pod-token" => key("POD"),
        ("PUT", "/latest/api/token") => ok("imds-token"),
        ("GET", path) if seen.header("x-aws-ec2-metadata-token") == "imds-token" => {
            match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
                Some("") => ok("scan-role\n"),
                Some("scan-role") => key("MACHINE"),
                _ => answer(404, &[], ""),
            }
        }
        _ => answer(403, &[], format!("no {SECRET}")),
    }
}

#[tokio::test]
async fn amazons_registries_are_opened_by_every_kind_of_key() {
    let cloud = Cloud::start(ECR, ("AWS", SECRET), amazon).await;
    let url = cloud.url();
    let endpoint = ("AWS_ENDPOINT_URL", url.as_str());
    let web = cloud.file("web", "jwt-s3cret-word\n");
    let pod = cloud.file("pod", "pod-token\n");
    let creds = format!("{url}/creds");
    let cases: [(&[(&str, &str)], usize); 4] = [
        (
            &[
                endpoint,
                ("AWS_ACCESS_KEY_ID", "STATIC"),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
            ],
            1,
        ),
        (
            &[
                endpoint,
                ("AWS_WEB_IDENTITY_TOKEN_FILE", &web),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/scan"),
            ],
            2,
        ),
        (
            &[
                endpoint,
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &creds),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &pod),
            ],
            2,
        ),
        (&[endpoint, ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)], 4),
    ];
    for (variables, want) in cases {
        let n_asked = cloud.n_asked(Provider::Aws, variables).await;
        assert_eq!(n_asked, want, "{:?}", variables[1].0);
    }
}

#[tokio::test]
async fn amazons_refusals_name_the_place_and_no_secret() {
    let cloud = Cloud::start(ECR, ("AWS", SECRET), amazon).await;
    let url = cloud.url();
    let endpoint = ("AWS_ENDPOINT_URL", url.as_str());
    let off = ("AWS_EC2_METADATA_DISABLED", "true");
    let web = cloud.file("web", SECRET);
    let missing = cloud.path("missing");
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[endpoint, off], "aws login: no access key"),
        (
            &[
                endpoint,
                ("AWS_ACCESS_KEY_ID", "UNKNOWN"),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
            ],
            "status 400 Bad Request: UnrecognizedClientException",
        ),
        (
            &[endpoint, ("AWS_WEB_IDENTITY_TOKEN_FILE", &web)],
            "is set without AWS_ROLE_ARN",
        ),
        (
            &[
                endpoint,
                ("AWS_WEB_IDENTITY_TOKEN_FILE", &web),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/other"),
            ],
            "status 400 Bad Request",
        ),
        (
            &[endpoint, ("AWS_WEB_IDENTITY_TOKEN_FILE", &missing)],
            "AWS_WEB_IDENTITY_TOKEN_FILE: ",
        ),
        (
            &[
                endpoint,
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    &format!("{url}/creds"),
                ),
            ],
            "/creds: status 403 Forbidden",
        ),
    ];
    for (variables, want) in cases {
        let text = cloud.error(Provider::Aws, variables).await;
        assert!(text.contains(want), "{text}");
    }
    let elsewhere = repository("registry.example.com", "team/app");
    let access = Access {
        provider: Some(Provider::Aws),
        ..insecure(None)
    };
    let address = cloud.server.host().parse().unwrap();
    let known = BTreeMap::from([("registry.example.com".to_owned(), vec![address])]);
    let client = client().with_hosts(Hosts::default().with_known(known));
    let error = client
        .tags(&elsewhere, &access, &|_| true)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "aws login: \"registry.example.com\" is not a host of Amazon's registries"
    );
}

const ACR: &str = "acme.azurecr.io";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Azure's endpoints: the directory, the metadata services, the registry's own exchange.
fn azure(seen: &Seen) -> Response {
    let access = |token: &str| ok(format!(r#"{{"access_token":"access-{token}-{SECRET}"}}"#));
    let resource = "resource=https%3A%2F%2Fmanagement.azure.com";
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/tenant/oauth2/v2.0/token") => {
            let common = "grant_type=client_credentials&client_id=client&\
                 scope=https%3A%2F%2Fmanagement.azure.com%2F.default&";
            match seen.body.strip_prefix(common) {
                Some("client_secret=s3cret-word") => access("secret"),
                Some(proof) if proof.starts_with("client_assertion=jwt-s3cret-word&") => {
                    access("federated")
                }
                _ => answer(
                    401,
                    &[],
                    r#"{"error":"invalid_client","error_description":"unknown client"}"#,
                ),
            }
        }
        ("GET", path) if path.starts_with("/metadata/identity/oauth2/token?") => {
            match seen.header("metadata") == "true" && path.contains(resource) {
                true => access("machine"),
                false => answer(400, &[], ""),
            }
        }
        ("GET", path) if path.starts_with("/msi?") => {
            match seen.header("x-identity-header") == SECRET && path.contains(resource) {
                true => access("service"),
                false => answer(400, &[], ""),
            }
        }
        ("POST", "/oauth2/exchange") => {
            let common = "grant_type=access_token&service=acme.azurecr.io&access_token=access-";
            match seen.body.starts_with(common) && seen.host == ACR {
                true => {
                    let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":99999999999}"#);
                    ok(format!(r#"{{"refresh_token":"x.{claims}.{SECRET}"}}"#))
                }
                false => answer(401, &[], SECRET),
            }
        }
        _ => answer(403, &[], format!("no {SECRET}")),
    }
}

/// The refresh token that [`azure`] gives.
fn refresh_token() -> &'static str {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":99999999999}"#);
    Box::leak(format!("x.{claims}.{SECRET}").into_boxed_str())
}

#[tokio::test]
async fn azures_registries_are_opened_by_every_kind_of_identity() {
    let cloud = Cloud::start(ACR, (NOBODY, refresh_token()), azure).await;
    let url = cloud.url();
    let federated = cloud.file("federated", "jwt-s3cret-word");
    let msi = format!("{url}/msi");
    let directory = [
        ("AZURE_AUTHORITY_HOST", url.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
    ];
    let with = |more: &[(&'static str, &str)]| -> Vec<(&str, String)> {
        let all = directory.iter().chain(more);
        all.map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    };
    for variables in [
        with(&[("AZURE_CLIENT_SECRET", SECRET)]),
        with(&[("AZURE_FEDERATED_TOKEN_FILE", &federated)]),
        vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.clone())],
        vec![
            ("IDENTITY_ENDPOINT", msi.clone()),
            ("IDENTITY_HEADER", SECRET.to_owned()),
        ],
    ] {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let n_asked = cloud.n_asked(Provider::Azure, &variables).await;
        assert_eq!(n_asked, 2, "{variables:?}");
    }
    for (variables, want) in [
        (
            with(&[("AZURE_CLIENT_SECRET", "wr0ng")]),
            ": unknown client",
        ),
        (
            vec![("AZURE_CLIENT_SECRET", SECRET.to_owned())],
            "azure login: AZURE_TENANT_ID is not set",
        ),
        (
            vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", format!("{url}/none"))],
            "neither AZURE_CLIENT_SECRET nor AZURE_FEDERATED_TOKEN_FILE is set for azurecr.io, and GET",
        ),
    ] {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let text = cloud.error(Provider::Azure, &variables).await;
        assert!(text.contains(want), "{text}");
    }
}

const GAR: &str = "europe-docker.pkg.dev";

/// Google's endpoints: the metadata service, the token exchange, impersonation.
fn google(seen: &Seen) -> Response {
    let token = |token: &str| ok(format!(r#"{{"access_token":"{token}","expires_in":3599}}"#));
    match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/computeMetadata/v1/instance/service-accounts/default/token")
            if seen.header("metadata-flavor") == "Google" =>
        {
            token(SECRET)
        }
        ("POST", "/token") if seen.body.contains("token-exchange") => {
            match seen.body.contains("&audience=%2F%2Fiam%2Fpool&")
                && seen.body.ends_with("&subject_token=jwt-s3cret-word")
            {
                true => token("federated"),
                false => answer(400, &[], r#"{"error":"invalid_grant"}"#),
            }
        }
        ("POST", "/token") if seen.body.contains("jwt-bearer&assertion=") => {
            let (_, assertion) = seen.body.split_once("assertion=").unwrap();
            match assertion.split('.').count() {
                3 => token(SECRET),
                _ => answer(400, &[], ""),
            }
        }
        ("POST", "/impersonate") if seen.authorization == "Bearer federated" => ok(format!(
            r#"{{"accessToken":"{SECRET}","expireTime":"2099-01-01T00:00:00Z"}}"#
        )),
        _ => answer(403, &[], format!("no {SECRET}")),
    }
}

#[tokio::test]
async fn googles_registries_are_opened_by_every_kind_of_identity() {
    let cloud = Cloud::start(GAR, ("oauth2accesstoken", SECRET), google).await;
    let url = cloud.url();
    let plain = cloud.file("plain", "jwt-s3cret-word\n");
    let json = cloud.file("json", r#"{"t":"jwt-s3cret-word"}"#);
    let external = |name: &str, source: &str| {
        let text = format!(
            r#"{{"type":"external_account","audience":"//iam/pool","subject_token_type":"urn:ietf:params:oauth:token-type:jwt",
            "token_url":"{url}/token","service_account_impersonation_url":"{url}/impersonate","credential_source":{source}}}"#
        );
        cloud.file(name, &text)
    };
    let from_file = external("a.json", &format!(r#"{{"file":"{plain}"}}"#));
    let from_field = external(
        "b.json",
        &format!(
            r#"{{"file":"{json}","format":{{"type":"json","subject_token_field_name":"t"}}}}"#
        ),
    );
    let from_program = external("c.json", r#"{"executable":{"command":"cat s3cret-word"}}"#);
    let other = cloud.file(
        "d.json",
        r#"{"type":"authorized_user","refresh_token":"s3cret-word"}"#,
    );
    let key = include_str!("service-account.pem");
    let account = serde_json::json!({
        "type": "service_account", "client_email": "scan@acme", "private_key": key,
        "private_key_id": "1", "token_uri": format!("{url}/token"),
    });
    let account = cloud.file("e.json", &account.to_string());
    let named = "GOOGLE_APPLICATION_CREDENTIALS";
    for (name, value, want) in [
        ("GCE_METADATA_HOST", cloud.server.host(), 1),
        (named, &from_file, 2),
        (named, &from_field, 2),
        (named, &account, 1),
    ] {
        let n_asked = cloud.n_asked(Provider::Gcp, &[(name, value)]).await;
        assert_eq!(n_asked, want, "{value}");
    }
    let bad = external("f.json", &format!(r#"{{"file":"{json}"}}"#));
    for (value, want) in [
        (
            &from_program,
            "credential_source is no file; URLs and programs are not used",
        ),
        (
            &other,
            "type is neither external_account nor service_account",
        ),
        (&bad, "/token: status 400 Bad Request: invalid_grant"),
    ] {
        let text = cloud.error(Provider::Gcp, &[(named, value)]).await;
        assert!(text.contains(want), "{text}");
    }
}
