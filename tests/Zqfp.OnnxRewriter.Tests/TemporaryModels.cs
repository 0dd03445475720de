using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter.Tests;

/// <summary>Models as files of a folder.</summary>
internal static class TemporaryModels
{
    public static string Write(this TemporaryFolder folder, string name, ModelProto model) => folder.Write(name, model.ToByteArray());
}
