namespace Zqfp.Tool;

/// <summary>Recognizes, in whatever a job ended with, that the machine had no more of something.</summary>
internal static class SystemLimits
{
    // ENOSPC and EDQUOT of Linux, EDQUOT of macOS, ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL of Windows.
    private static readonly int[] Full = [28, 122, 69, unchecked((int)0x80070027), unchecked((int)0x80070070)];

    // EMFILE and ENFILE, and ERROR_TOO_MANY_OPEN_FILES.
    private static readonly int[] Handles = [24, 23, unchecked((int)0x80070004)];

    /// <summary>The diagnostic of a limit; null where the exception is of another kind.</summary>
    public static Diagnostic? Describe(Exception exception) => exception switch
    {
        AggregateException many => many.Flatten().InnerExceptions.Select(Describe).FirstOrDefault(found => found is not null),
        OutOfMemoryException or InsufficientExecutionStackException => Error("ZQFP4020",
            "There is not enough memory for this. Use fewer or shorter windows, or a machine with more memory; 'plan' estimates what "
            + "quantizing needs."),
        IOException { HResult: var code } when Full.Contains(code) => Error("ZQFP4021", $"The disk is full: {NewFile.Explain(exception)}"),
        IOException { HResult: var code } when Handles.Contains(code) => Error("ZQFP4022",
            $"The process has as many files open as it may: {exception.Message} Raise the limit, such as with 'ulimit -n 1024'."),
        // A library that cannot be opened is reported as one that is not there, or in the loader's words.
        TypeInitializationException or TypeLoadException or IOException or BadImageFormatException when IsOutOfHandles(exception) =>
            Error("ZQFP4022",
                "The process has as many files open as it may, so that a library could not be loaded. Raise the limit, such as with "
                + "'ulimit -n 1024'."),
        TypeInitializationException { InnerException: { } inner } => Describe(inner),
        _ => null,
    };

    private static bool IsOutOfHandles(Exception exception)
    {
        if (exception.Message.Contains("Too many open files", StringComparison.Ordinal))
        {
            return true;
        }

        try
        {
            using FileStream one = File.OpenRead(Environment.ProcessPath!);
            using FileStream another = File.OpenRead(Environment.ProcessPath!);
            return false;
        }
        catch (IOException e)
        {
            return Handles.Contains(e.HResult);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or TypeInitializationException or TypeLoadException)
        {
            return false;
        }
    }

    private static Diagnostic Error(string code, string message) => new(code, DiagnosticSeverity.Error, message);
}
