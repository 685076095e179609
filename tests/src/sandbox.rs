//! What a run leaves on the machine: nothing, however it ends.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{LazyLock, Mutex},
};

/// Kills the processes it was told of (`+ pid`, taken back by `- pid`) and removes a directory when its
/// input ends. The kernel ends that when the tests end, also by SIGKILL.
const REAPER: &str = r#"
pids=" "
while read -r sign pid; do
    case $sign in
        +) pids="$pids$pid " ;;
        -) pids="${pids%%" $pid "*} ${pids#*" $pid "}" ;;
    esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
rm -rf "$1"
"#;

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(Sandbox::new);

struct Sandbox {
    root: PathBuf,
    reaper: Mutex<ChildStdin>,
    /// Ends by itself, after this process.
    _shell: Child,
}

impl Sandbox {
    fn new() -> Self {
        let root =
            tempfile::Builder::new().prefix("pulse-it-").tempdir().expect("a temporary directory").keep();
        let mut shell = Command::new("sh")
            .args(["-c", REAPER, "reaper"])
            .arg(&root)
            .current_dir("/")
            .stdin(Stdio::piped())
            // An inherited pipe would keep whoever reads the output of the tests waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let input = shell.stdin.take().expect("it is piped");
        Self { root, reaper: Mutex::new(input), _shell: shell }
    }
}

/// A new, empty directory.
pub fn directory() -> PathBuf {
    let directory = SANDBOX.root.join(crate::unique("app"));
    fs::create_dir(&directory).expect("a directory in the sandbox");
    directory
}

/// Removes a directory of the sandbox.
pub(crate) fn remove(directory: &Path) {
    _ = fs::remove_dir_all(directory);
}

/// Has a process killed at the end, should it still run then.
pub(crate) fn add_process(pid: u32) {
    tell('+', pid);
}

/// Takes that back: the pid may soon be another's.
pub(crate) fn remove_process(pid: u32) {
    tell('-', pid);
}

fn tell(sign: char, pid: u32) {
    let mut reaper = SANDBOX.reaper.lock().expect("no holder panics");
    writeln!(reaper, "{sign} {pid}").expect("the reaper waits for its input to end");
}
