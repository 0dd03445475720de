using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter.Tests;

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Write(string name, ModelProto model)
    {
        System.IO.File.WriteAllBytes(File(name), model.ToByteArray());
        return File(name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
