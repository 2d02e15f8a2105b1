//! The addresses and node ports of Services: each is given out once.
//!
//! What is taken is read from the stored Services while a lock is held until the new one is stored,
//! so nothing has to be kept beside them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::api::Api;
use crate::error::FieldError;
use crate::kinds::TypeInfo;
use crate::objects::meta_text;
use crate::store::Scope;

/// The first address of the range.
const RANGE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
/// How many addresses the range has; the first and the last are not given out.
const RANGE_SIZE: u32 = 65_536;
/// The node ports.
const NODE_PORTS: std::ops::Range<u32> = 30_000..32_768;

/// Returns whether a kind is Service.
pub(crate) fn is_service(kind: &TypeInfo) -> bool {
    kind.group.is_empty() && kind.plural == "services"
}

/// What the other Services have.
struct Taken {
    addresses: BTreeSet<String>,
    ports: BTreeSet<u32>,
}

fn taken(api: &Api, own_uid: &str) -> Taken {
    let mut taken = Taken {
        addresses: BTreeSet::new(),
        ports: BTreeSet::new(),
    };
    for entry in api.store.list("/services", &Scope::default()).entries {
        let service = entry.value();
        if meta_text(&service, "uid") == own_uid {
            continue;
        }
        if let Some(address) = service.pointer("/spec/clusterIP").and_then(Value::as_str) {
            taken.addresses.insert(address.to_owned());
        }
        let ports = service.pointer("/spec/ports").and_then(Value::as_array);
        let numbers = ports
            .into_iter()
            .flatten()
            .filter_map(|p| p["nodePort"].as_u64());
        taken
            .ports
            .extend(numbers.filter_map(|n| u32::try_from(n).ok()));
    }
    taken
}

/// Gives a Service the address and node ports it needs; fails where it asks for a taken one.
pub(crate) fn allocate(api: &Api, service: &mut Value) -> Result<(), Vec<FieldError>> {
    let uid = meta_text(service, "uid").to_owned();
    let kind = service["spec"]["type"]
        .as_str()
        .unwrap_or("ClusterIP")
        .to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    let taken = taken(api, &uid);
    let mut errors = Vec::new();
    address(api, &taken, service, &mut errors);
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        && service["spec"]["allocateLoadBalancerNodePorts"] != false
    {
        node_ports(api, taken.ports, service, &mut errors);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn address(api: &Api, taken: &Taken, service: &mut Value, errors: &mut Vec<FieldError>) {
    let spec = &mut service["spec"];
    let asked = spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    if asked == "None" {
        spec["clusterIPs"] = json!(["None"]);
        return;
    }
    if !asked.is_empty() {
        if taken.addresses.contains(&asked) {
            let why = format!("failed to allocate IP {asked}: provided IP is already allocated");
            errors.push(FieldError {
                field: "spec.clusterIPs".to_owned(),
                reason: "FieldValueInvalid",
                message: format!("Invalid value: [{asked:?}]: {why}"),
            });
        }
        spec["clusterIPs"] = json!([asked]);
        return;
    }
    let start = number(api) % RANGE_SIZE;
    let candidates = (0..RANGE_SIZE).map(|n| (start + n) % RANGE_SIZE);
    // The first address is the API server's own by custom.
    let mut usable = candidates.filter(|n| *n > 1 && *n < RANGE_SIZE - 1);
    let free = usable.find_map(|n| {
        let address = Ipv4Addr::from(u32::from(RANGE) + n).to_string();
        (!taken.addresses.contains(&address)).then_some(address)
    });
    match free {
        Some(free) => {
            spec["clusterIPs"] = json!([free]);
            spec["clusterIP"] = free.into();
        }
        None => errors.push(full(
            "spec.clusterIPs",
            "failed to allocate a serviceIP: range is full",
        )),
    }
}

fn node_ports(
    api: &Api,
    mut used: BTreeSet<u32>,
    service: &mut Value,
    errors: &mut Vec<FieldError>,
) {
    let Some(ports) = service["spec"]["ports"].as_array_mut() else {
        return;
    };
    for (index, port) in ports.iter_mut().enumerate() {
        let field = format!("spec.ports[{index}].nodePort");
        if let Some(asked) = port["nodePort"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
        {
            if !NODE_PORTS.contains(&asked) {
                let why = format!(
                    "Invalid value: {asked}: provided port is not in the valid range. The range of valid ports is {}-{}",
                    NODE_PORTS.start,
                    NODE_PORTS.end - 1
                );
                errors.push(FieldError {
                    field,
                    reason: "FieldValueInvalid",
                    message: why,
                });
            } else if !used.insert(asked) {
                let message = format!("Invalid value: {asked}: provided port is already allocated");
                errors.push(FieldError {
                    field,
                    reason: "FieldValueInvalid",
                    message,
                });
            }
            continue;
        }
        let size = NODE_PORTS.end - NODE_PORTS.start;
        let start = number(api) % size;
        let mut candidates = (0..size).map(|n| NODE_PORTS.start + (start + n) % size);
        match candidates.find(|n| !used.contains(n)) {
            Some(free) => {
                used.insert(free);
                port["nodePort"] = free.into();
            }
            None => errors.push(full(&field, "failed to allocate a nodePort: range is full")),
        }
    }
}

fn full(field: &str, why: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        reason: "InternalError",
        message: format!("Internal error: {why}"),
    }
}

fn number(api: &Api) -> u32 {
    let mut bytes = [0u8; 4];
    api.random.fill(&mut bytes);
    u32::from_be_bytes(bytes)
}
