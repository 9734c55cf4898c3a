//! What the README has a stranger copy, as it is written there, and what they see of it on their terminal.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{free_port, terminate, text, until, variable};

const README: &str = include_str!("../../../../README.md");

/// The block of shell in the README that has `line` in it.
fn block(line: &str) -> &'static str {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut with = blocks.filter(|block| block.contains(line));
    with.next().unwrap_or_else(|| panic!("no block of the README has `{line}`"))
}

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn is_ready(address: &str) {
    let ready =
        async || reqwest::get(format!("http://{address}/readyz")).await.ok().filter(|r| r.status() == 200);
    until("a server that is ready", ready).await;
}

#[tokio::test]
async fn what_the_readme_has_one_copy_makes_an_organization_with_an_owner_and_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let start = block(" serve\n").trim();
    let words = start.strip_prefix("cargo run --release -- ").unwrap_or_else(|| panic!("{start}"));
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command.args(words.split(' ')).args(["--listen", &address]).current_dir(folder.path());
    command
        .env_remove("PORTCULLIS_ROOT_TOKEN")
        .env_remove("PORTCULLIS_DATA")
        .env_remove("PORTCULLIS_DATABASE");
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Running(command.spawn().unwrap());
    is_ready(&address).await;
    let copied = block("umask 077");
    assert!(copied.matches("http://127.0.0.1:8080/").count() >= 2, "{copied}");
    let copied = copied.replace("127.0.0.1:8080", &address);
    let shell = Command::new("sh").args(["-eu", "-c", &copied]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(shell.stdout).unwrap();
    assert!(shell.status.success(), "{said}{}", String::from_utf8_lossy(&shell.stderr));
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&said).into_iter().map(|answer| answer.unwrap()).collect();
    let [organization, directory] = answers.as_slice() else { panic!("{said}") };
    let link = text(organization, "owner_link");
    let page = reqwest::get(&link).await.unwrap();
    assert!(link.starts_with(&format!("http://{address}/")) && page.status() == 200, "{link}");
    let kept = folder.path().join("directory.json");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600, "it holds a secret");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(kept).unwrap()).unwrap();
    assert_eq!(&kept, directory, "what was shown is what is kept");
    let users = format!("{}/Users", text(&kept, "base_url"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(users).bearer_auth(text(&kept, "token")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the directory answers its provider");
    assert!(terminate(&mut server.0).1.success());
}

/// Starts a server on a terminal of its own.
fn on_a_terminal(data: &Path, address: &str) -> Running {
    let (program, data) = (variable("PORTCULLIS_BIN"), data.display());
    let line = format!("exec '{program}' serve --listen {address} --data '{data}'");
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_remove("PORTCULLIS_ROOT_TOKEN");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Running(command.spawn().expect("`script` is here"))
}

#[tokio::test]
async fn a_start_on_a_terminal_shows_the_link_for_the_first_owner_there_and_keeps_it_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (folder.path().join("data"), format!("127.0.0.1:{}", free_port()));
    let mut child = on_a_terminal(&data, &address);
    let output = BufReader::new(child.0.stdout.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut said = String::new();
    while !said.contains("root token") {
        match lines.recv_timeout(Duration::from_secs(10)) {
            Ok(line) => said.push_str(&format!("{}\n", line.trim_end())),
            Err(_) => panic!("nothing is said of the root token: {said}"),
        }
    }
    is_ready(&address).await;
    let link = said.split_whitespace().find(|word| word.contains("/setup/owner?token=")).unwrap_or_default();
    assert!(link.starts_with(&format!("http://{address}/setup/owner?token=pc_owner_")), "{said}");
    let token = std::fs::read_to_string(data.join("root-token")).unwrap();
    assert!(token.starts_with("pc_root_") && !said.contains(token.trim()), "the root token is shown: {said}");
    let secret = link.rsplit('=').next().unwrap().as_bytes();
    for file in std::fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        // Beside the files lies the socket by which orders come.
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        let has = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!has, "the link lies in `{}` too", path.display());
    }
    let page = reqwest::get(link).await.unwrap();
    assert_eq!(page.status(), 200, "the link leads in");
    terminate(&mut child.0);
    let is_gone = async || std::net::TcpStream::connect(&address).is_err().then_some(());
    until("an end with its terminal", is_gone).await;
}
