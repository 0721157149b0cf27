//! How long the edge looks for the route of a request, by the number of routes, and how long it takes to load them.
//!
//! One look-up is timed at a time, clock included, on requests in an order that no cache can foresee.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::{HeaderMap, HeaderValue, Version};
use sentinel_config::parse_edge;
use sentinel_proxy::request::{CanonicalRequest, HeadLimits, Parsed};
use sentinel_proxy::routes::Table;
use tokio::time::Instant;

use crate::report::{Figure, Table as Report};
use crate::statistics::{Median, percentile};

/// How many routes, and under which name they are reported.
const SIZES: [(usize, &str); 3] = [
    (10, "routes_10"),
    (1_000, "routes_1000"),
    (10_000, "routes_10000"),
];
/// How many look-ups are timed in a round.
const LOOKUPS: usize = 200_000;
/// How often everything is measured, by turns.
const ROUNDS: usize = 5;

const UUID: &str = "0190a0a0-0000-7000-8000-000000000001";

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs.
    pub figures: Vec<Figure>,
}

/// Loads policies of several sizes and looks requests up in them.
///
/// # Errors
/// A policy does not load, or a request is not led where it belongs.
pub fn measure() -> Result<Outcome> {
    let worlds: Vec<World> = SIZES
        .iter()
        .map(|(size, _)| World::new(*size))
        .collect::<Result<_>>()?;
    let mut rounds: Vec<[Vec<f64>; 3]> = worlds.iter().map(|_| Default::default()).collect();
    for round in 0..ROUNDS {
        for (world, [load, p50, p99]) in worlds.iter().zip(&mut rounds) {
            load.push(world.time_to_load()?.as_secs_f64() * 1e3);
            let times = world.look_up(round);
            let nanoseconds = |percent| -> Result<f64> {
                let time = percentile(&times, percent).context("nothing was measured")?;
                Ok(time.as_secs_f64() * 1e9)
            };
            p50.push(nanoseconds(50)?);
            p99.push(nanoseconds(99)?);
        }
    }
    let mut table = Report::new(&["routes", "load ms", "p50 ns", "p99 ns"]);
    let mut figures = Vec::new();
    for ((_, name), values) in SIZES.into_iter().zip(rounds) {
        let medians: Vec<Median> = values.into_iter().filter_map(Median::of).collect();
        table.line(name, &medians);
        for ((metric, unit), median) in [("load_ms", "ms"), ("p50_ns", "ns"), ("p99_ns", "ns")]
            .into_iter()
            .zip(medians)
        {
            figures.push(Figure {
                name,
                metric,
                value: median.value,
                unit,
            });
        }
    }
    Ok(Outcome {
        text: table.text(),
        figures,
    })
}

/// A policy, and one request for each of its routes.
struct World {
    text: String,
    table: Table,
    requests: Vec<(CanonicalRequest, HeaderMap)>,
}

impl World {
    fn new(size: usize) -> Result<Self> {
        let mut text = String::from(
            "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }\n\
             upstreams: { docs: { url: http://127.0.0.1:9000 } }\nroutes:\n",
        );
        let mut requests = Vec::new();
        for number in 0..size {
            let (pattern, when, target) = route(number);
            let host = host(number);
            writeln!(
                text,
                "  - {{ match: 'GET {host}{pattern}', to: docs, public: true{when} }}"
            )?;
            let host = host.replace('*', "eu");
            requests.push(request(&host, &target)?);
        }
        let table = load(&text)?;
        for (request, fields) in &requests {
            ensure!(
                table.find(request, fields).is_some(),
                "`{}` has no route",
                request.target.raw()
            );
        }
        Ok(Self {
            text,
            table,
            requests,
        })
    }

    fn time_to_load(&self) -> Result<Duration> {
        let started = Instant::now();
        let table = load(&self.text)?;
        let took = started.elapsed();
        ensure!(table.routes().len() == self.requests.len(), "a route was lost");
        Ok(took)
    }

    /// The times of single look-ups, in ascending order.
    fn look_up(&self, round: usize) -> Vec<Duration> {
        let mut at = round;
        let mut times: Vec<Duration> = (0..LOOKUPS)
            .filter_map(|_| {
                // A stride that is prime to every size goes through all requests in leaps.
                at = (at + 7_919) % self.requests.len();
                let (request, fields) = self.requests.get(at)?;
                // A request that is looked up has just been read.
                let read: usize = request.target.segments().map(str::len).sum();
                std::hint::black_box((read, request.host.name(), fields.get("accept")));
                let started = Instant::now();
                let found = self.table.find(std::hint::black_box(request), fields);
                let took = started.elapsed();
                std::hint::black_box(found);
                Some(took)
            })
            .collect();
        times.sort_unstable();
        times
    }
}

/// One of some dozens of hosts, every eighth of them with a wildcard.
fn host(number: usize) -> String {
    let host = number / 8 % 24;
    if host % 8 == 7 {
        format!("*.h{host}.example.com")
    } else {
        format!("h{host}.example.com")
    }
}

/// A path as APIs have them, what else the route asks for, and a target that it is for.
fn route(number: usize) -> (String, &'static str, String) {
    let service = number / 8;
    let base = format!("/api/v1/service-{service}");
    match number % 8 {
        0 => (format!("{base}/items"), "", format!("{base}/items?page=2")),
        1 => (
            format!("{base}/items/{{id}}"),
            "",
            format!("{base}/items/AbC_{number}"),
        ),
        2 => (
            format!("{base}/items/{{id:uuid}}"),
            "",
            format!("{base}/items/{UUID}"),
        ),
        3 => (
            format!("{base}/items/{{id:int}}/parts/{{part:slug}}"),
            "",
            format!("{base}/items/{number}/parts/a-b"),
        ),
        4 => (format!("{base}/items/new"), "", format!("{base}/items/new")),
        5 => (
            format!("{base}/files/{{rest*}}"),
            "",
            format!("{base}/files/2026/11/Report%20{number}.pdf"),
        ),
        6 => (format!("{base}/search"), "", format!("{base}/search?q=a&draft=0")),
        _ => (
            format!("{base}/search"),
            ", when: { query: { draft: '1' } }",
            format!("{base}/search?q=a&draft=1"),
        ),
    }
}

fn load(text: &str) -> Result<Table> {
    let config = parse_edge(text, Path::new("edge.yaml"), &BTreeMap::new())?;
    Ok(Table::compile(&config)?)
}

fn request(host: &str, target: &str) -> Result<(CanonicalRequest, HeaderMap)> {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        ("accept", "*/*"),
        ("user-agent", "bench"),
        ("accept-encoding", "gzip"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.insert("host", HeaderValue::from_str(host)?);
    let parsed = Parsed {
        version: Version::HTTP_11,
        method: "GET",
        target: target.as_bytes(),
        authority: None,
        fields: &fields,
    };
    let request = CanonicalRequest::parse(parsed, HeadLimits::default())
        .map_err(|denial| anyhow::anyhow!("`{target}` is refused: {}", denial.code()))?;
    Ok((request, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_the_route_that_was_made_for_it() {
        let world = World::new(200).expect("a policy");
        let names: Vec<&str> = world
            .table
            .routes()
            .map(sentinel_proxy::routes::Route::name)
            .collect();
        for ((request, fields), name) in world.requests.iter().zip(names) {
            let found = world.table.find(request, fields).expect("a route");
            assert_eq!(found.name(), name, "{}", request.target.raw());
        }
    }
}
