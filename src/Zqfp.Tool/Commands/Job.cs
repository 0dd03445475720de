using System.Runtime.InteropServices;

namespace Zqfp.Tool;

/// <summary>Runs a job: progress shown, signals heard, and every way to end turned into an exit code and one message.</summary>
internal static class Job
{
    /// <summary>Environment variable that, when 1, shows where an error came from.</summary>
    private const string TraceVariable = "ZQFP_TRACE";

    public static int Run(GivenOptions given, Func<IJobObserver, CancellationToken, int> job)
    {
        // What the console needs is loaded now: an error must be told even where no further file can be opened.
        Console.OpenStandardError().Write([]);
        using var cancellation = new CancellationTokenSource();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
        using var progress = new ProgressObserver(ProgressView.Create(given.Flag("--quiet")));
        return Guard(
            () =>
            {
                try
                {
                    return job(progress, cancellation.Token);
                }
                catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
                {
                    progress.Dispose();
                    Console.Error.WriteLine("Cancelled.");
                    return ExitCodes.Cancelled;
                }
            },
            progress.Dispose);

        // The first signal asks the job to stop, which removes what is half-written; a second one ends the process.
        void Cancel(PosixSignalContext context)
        {
            context.Cancel = !cancellation.IsCancellationRequested;
            cancellation.Cancel();
        }
    }

    /// <summary>Turns every way to fail into one message and an exit code.</summary>
    /// <param name="run">What may fail.</param>
    /// <param name="beforeTelling">Leaves the line to the message.</param>
    public static int Guard(Func<int> run, Action? beforeTelling = null)
    {
        Diagnostic? limit = null; // Asked for once, where the exception is thrown: what is short may be there again later.
        try
        {
            return run();
        }
        catch (ZqfpException exception)
        {
            beforeTelling?.Invoke();
            return Fail(exception, Diagnostic.Of(exception), ExitCodes.Of(exception.Code));
        }
        catch (Exception exception) when ((limit = SystemLimits.Describe(exception)) is not null)
        {
            beforeTelling?.Invoke();
            return Fail(exception, limit, ExitCodes.Of(limit.Code));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            beforeTelling?.Invoke();
            return Fail(exception, new Diagnostic("ZQFP0908", DiagnosticSeverity.Error,
                $"A file could not be read or written: {NewFile.Explain(exception)}"), ExitCodes.Input);
        }
#pragma warning disable CA1031 // The process ends here; whatever it was must become a message and an exit code.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            beforeTelling?.Invoke();
            string message = $"This is a defect of the tool: {exception.GetType().Name}: {exception.Message} Run it again with "
                + $"{TraceVariable}=1 and report what it prints.";
            return Fail(exception, new Diagnostic("ZQFP0909", DiagnosticSeverity.Error, message), ExitCodes.InternalError);
        }
    }

    private static int Fail(Exception exception, Diagnostic diagnostic, int exitCode)
    {
        DiagnosticWriter.Write(diagnostic);
        if (Environment.GetEnvironmentVariable(TraceVariable) == "1")
        {
            Console.Error.WriteLine(exception);
        }

        return exitCode;
    }
}
