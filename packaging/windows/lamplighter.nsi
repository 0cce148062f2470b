Target amd64-unicode
; The installer for one user, without administrator: built by packaging/exe.py, which defines VERSION, PROGRAM and OUT.
; Silent: Setup.exe /S, Uninstall.exe /S (keeps the configuration), Uninstall.exe /S /CONFIGURATION (removes it).
!include LogicLib.nsh
!include FileFunc.nsh
!include Win\COM.nsh
!include Win\Propkey.nsh

!define ID "Lamplighter" ; the AppUserModelID that notifications are shown under: see tray_app/interfaces/notifications/native_notifier.py
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Lamplighter"
!define LINK "$SMPROGRAMS\Lamplighter.lnk"

Name "Lamplighter ${VERSION}"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Programs\Lamplighter"
SetCompressor /SOLID lzma
Icon "${PROGRAM}\lamplighter.ico"
UninstallIcon "${PROGRAM}\lamplighter.ico"
ShowInstDetails nevershow
VIProductVersion "${VERSION}.0"
VIAddVersionKey ProductName "Lamplighter"
VIAddVersionKey FileDescription "Lamplighter's installer"
VIAddVersionKey FileVersion "${VERSION}"
VIAddVersionKey LegalCopyright "MIT licence"

Page directory
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

!macro EndRunningApplet ; an open refresh ends and is stored first
  ${If} ${FileExists} "$INSTDIR\lamplighter.exe"
    nsExec::Exec '"$INSTDIR\lamplighter.exe" quit'
    Pop $0
  ${EndIf}
!macroend

Section
  !insertmacro EndRunningApplet
  RMDir /r "$INSTDIR\_internal"
  SetOutPath "$INSTDIR"
  File /r "${PROGRAM}\*.*"
  WriteUninstaller "$INSTDIR\Uninstall.exe"

  ; A shortcut with the same AppUserModelID as the notifications: without it Windows shows none that can be clicked.
  !insertmacro ComHlpr_CreateInProcInstance ${CLSID_ShellLink} ${IID_IShellLink} r0 ""
  ${If} $0 P<> 0
    ${IShellLink::SetPath} $0 '("$INSTDIR\lamplighter-tray.exe").r1'
    ${IShellLink::SetWorkingDirectory} $0 '("$INSTDIR").r1'
    ${IShellLink::SetDescription} $0 '("A lamp in the tray that keeps you signed in").r1'
    ${IShellLink::SetIconLocation} $0 '("$INSTDIR\lamplighter.ico",0).r1'
    ${IUnknown::QueryInterface} $0 '("${IID_IPropertyStore}",.r1)'
    ${If} $1 P<> 0
      System::Call 'Oleaut32::SysAllocString(w "${ID}")p.r4'
      System::Call '*${SYSSTRUCT_PROPERTYKEY}(${PKEY_AppUserModel_ID})p.r2'
      System::Call '*${SYSSTRUCT_PROPVARIANT}(${VT_BSTR},,p r4)p.r3'
      ${IPropertyStore::SetValue} $1 '($2,$3)'
      ${IPropertyStore::Commit} $1 ""
      System::Call 'Oleaut32::SysFreeString(p r4)'
      System::Free $2
      System::Free $3
      ${IUnknown::Release} $1 ""
    ${EndIf}
    ${IUnknown::QueryInterface} $0 '("${IID_IPersistFile}",.r1)'
    ${If} $1 P<> 0
      ${IPersistFile::Save} $1 '("${LINK}",1)'
      ${IUnknown::Release} $1 ""
    ${EndIf}
    ${IUnknown::Release} $0 ""
  ${EndIf}

  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  WriteRegStr HKCU "${UNINSTALL}" DisplayName "Lamplighter"
  WriteRegStr HKCU "${UNINSTALL}" DisplayVersion "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" DisplayIcon "$INSTDIR\lamplighter.ico"
  WriteRegStr HKCU "${UNINSTALL}" Publisher "The Lamplighter developers"
  WriteRegStr HKCU "${UNINSTALL}" InstallLocation "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" UninstallString '"$INSTDIR\Uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" QuietUninstallString '"$INSTDIR\Uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" EstimatedSize $0
  WriteRegDWORD HKCU "${UNINSTALL}" NoModify 1
  WriteRegDWORD HKCU "${UNINSTALL}" NoRepair 1
SectionEnd

Section Uninstall
  !insertmacro EndRunningApplet
  ${If} ${FileExists} "$INSTDIR\lamplighter.exe"
    nsExec::Exec '"$INSTDIR\lamplighter.exe" autostart off'
    Pop $0
  ${EndIf}
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/CONFIGURATION" $1
  ${If} ${Errors}
    MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 \
      "Remove your configuration and log as well?$\n$\nYour sign-ins stay in the Windows Credential Manager." \
      /SD IDNO IDNO keep
  ${EndIf}
  RMDir /r "$LOCALAPPDATA\lamplighter"
  keep:
  Delete "${LINK}"
  RMDir /r "$INSTDIR\_internal"
  Delete "$INSTDIR\lamplighter.exe"
  Delete "$INSTDIR\lamplighter-tray.exe"
  Delete "$INSTDIR\lamplighter.ico"
  Delete "$INSTDIR\LICENCES.txt"
  Delete "$INSTDIR\lamplighter.cdx.json"
  Delete "$INSTDIR\Uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKCU "${UNINSTALL}"
  DeleteRegKey HKCU "Software\Classes\AppUserModelId\${ID}"
SectionEnd
