namespace Zqfp.CudaOps;

/// <summary>Recorded device work that is launched as a whole.</summary>
internal sealed unsafe class CudaGraph : IDisposable
{
    private readonly DriverApi _driver;
    private readonly nint _graph;
    private nint _executable;

    internal CudaGraph(DriverApi driver, nint graph)
    {
        _driver = driver;
        _graph = graph;
        nint executable;
        driver.Check(driver.GraphInstantiate(&executable, graph, 0), "cuGraphInstantiateWithFlags");
        _executable = executable;
    }

    /// <summary>Puts the graph's work into a stream.</summary>
    public void Launch(CudaStream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ObjectDisposedException.ThrowIf(_executable == 0, this);
        _driver.Check(_driver.GraphLaunch(_executable, stream.Handle), "cuGraphLaunch");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_executable == 0)
        {
            return;
        }

        _driver.GraphExecDestroy(_executable);
        _driver.GraphDestroy(_graph);
        _executable = 0;
    }
}
