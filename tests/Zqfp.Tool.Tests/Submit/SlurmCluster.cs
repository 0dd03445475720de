using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Zqfp.Tool.Tests;

/// <summary>A Slurm of one node, with everything it has in a folder: it needs neither a service nor rights.</summary>
internal sealed class SlurmCluster : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan LongestCall = TimeSpan.FromMinutes(1);

    private const int Daemons = 3;

    private readonly string _folder;
    private readonly List<Process> _daemons = [];

    /// <summary>Starts it, and waits until its node takes jobs.</summary>
    public SlurmCluster(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(Path.Combine(folder, "state"));
        Directory.CreateDirectory(Path.Combine(folder, "spool"));
        string key = Path.Combine(folder, "munge.key");
        File.WriteAllBytes(key, RandomNumberGenerator.GetBytes(128));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(key, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        string host = Dns.GetHostName().Split('.')[0];
        (int first, int second) = (FreePort(), FreePort());
        File.WriteAllText(Config, $"""
            ClusterName=zqfp
            SlurmctldHost={host}(127.0.0.1)
            SlurmctldPort={first}
            SlurmdPort={second}
            SlurmUser={Environment.UserName}
            SlurmdUser={Environment.UserName}
            AuthType=auth/munge
            AuthInfo=socket={folder}/munge.socket,cred_expire=5
            CredType=cred/munge
            StateSaveLocation={folder}/state
            SlurmdSpoolDir={folder}/spool
            SlurmctldPidFile={folder}/slurmctld.pid
            SlurmdPidFile={folder}/slurmd.pid
            SlurmctldLogFile={folder}/slurmctld.log
            SlurmdLogFile={folder}/slurmd.log
            ProctrackType=proctrack/linuxproc
            TaskPlugin=task/none
            SelectType=select/cons_tres
            SelectTypeParameters=CR_CPU
            SlurmdParameters=config_overrides
            SwitchType=switch/none
            MpiDefault=none
            ReturnToService=2
            JobRequeue=1
            KillWait=2
            SchedulerType=sched/builtin
            NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
            PartitionName=all Nodes=ALL Default=YES State=UP

            """);
        try
        {
            Start("munged", "--foreground", "--force", $"--socket={folder}/munge.socket", $"--key-file={key}",
                $"--pid-file={folder}/munge.pid", $"--seed-file={folder}/munge.seed", $"--log-file={folder}/munge.log");
            Until(() => File.Exists(Path.Combine(folder, "munge.socket")));
            Start("slurmctld", "-D");
            Start("slurmd", "-D");
            Until(() => Run("sinfo", "--noheader", "--format=%t").Trim() == "idle");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private string Config => Path.Combine(_folder, "slurm.conf");

    /// <summary>Runs a program of Slurm, or a shell, and returns what it writes.</summary>
    public string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(Of(program, arguments))!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(LongestCall))
        {
            process.Kill(entireProcessTree: true);
            return $"{program} did not answer.";
        }

        return process.ExitCode == 0 ? output.Result : error.Result;
    }

    /// <summary>Waits for something, and says what the daemons wrote where it does not come.</summary>
    public void Until(Func<bool> condition, TimeSpan? longest = null)
    {
        for (var clock = Stopwatch.StartNew(); !condition(); Thread.Sleep(200))
        {
            if (clock.Elapsed > (longest ?? Longest))
            {
                string[] logs = [.. Directory.GetFiles(_folder, "*.log").Concat(Directory.GetFiles(_folder, "*.out")).Select(Tail)];
                Assert.Fail($"It takes too long.\n{Run("squeue")}\n{string.Join('\n', logs)}");
            }
        }
    }

    public void Dispose()
    {
        // Jobs are no children of the daemons: without this they would outlive a test that failed.
        if (_daemons.Count == Daemons)
        {
            Run("scancel", $"--user={Environment.UserName}");
            for (var clock = Stopwatch.StartNew(); clock.Elapsed < LongestCall && Run("squeue", "--noheader").Length > 0;)
            {
                Thread.Sleep(200);
            }
        }

        for (int i = _daemons.Count - 1; i >= 0; i--)
        {
            _daemons[i].Kill(entireProcessTree: true);
            _daemons[i].WaitForExit();
            _daemons[i].Dispose();
        }
    }

    /// <summary>Deletes the folder of one that was ended: a daemon may still write for a moment.</summary>
    public static void Delete(string folder)
    {
        for (var clock = Stopwatch.StartNew(); Directory.Exists(folder); Thread.Sleep(100))
        {
            try
            {
                Directory.Delete(folder, recursive: true);
            }
            catch (IOException) when (clock.Elapsed < TimeSpan.FromSeconds(10))
            {
            }
        }
    }

    private static string Tail(string file)
    {
        string[] lines = File.ReadAllLines(file);
        return string.Join('\n', lines.TakeLast(20).Prepend(Path.GetFileName(file)));
    }

    private void Start(string program, params string[] arguments)
    {
        Process daemon = Process.Start(Of(program, arguments))!;
        daemon.OutputDataReceived += (_, _) => { };
        daemon.ErrorDataReceived += (_, _) => { };
        daemon.BeginOutputReadLine();
        daemon.BeginErrorReadLine();
        _daemons.Add(daemon);
    }

    private ProcessStartInfo Of(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(SlurmFactAttribute.Find(program) ?? program, arguments)
        {
            WorkingDirectory = _folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["SLURM_CONF"] = Config;
        return start;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
